// The pictures that a person looks at: every state, on a phone and on a desktop, light and dark.

import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PICTURES = fileURLToPath(new URL('../../.local/screenshots/', import.meta.url));
mkdirSync(PICTURES, { recursive: true });

const phone = { deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** What every state is looked at on. */
export const views = viewsOf({
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 }, ...phone },
});

/** The narrowest screen that is still about, where only what may get tight is looked at. */
export const narrowViews = viewsOf({ narrow: { viewport: { width: 320, height: 568 }, ...phone } });

/**
 * Every screen in both colour schemes: its name, the options of a browser context, and what takes a
 * picture of a state and checks it with axe and for its width.
 */
function viewsOf(screens) {
  return Object.entries(screens).flatMap(([screen, options]) => ['light', 'dark'].map((colorScheme) => ({
    name: `${screen}, ${colorScheme}`,
    context: { ...options, colorScheme },
    async look(tab, state, { fullPage = false } = {}) {
      await tab.isSettled();
      // The card sticks to the top of the window, and would be pictured where the window happens to be.
      if (fullPage) await tab.page.evaluate(() => window.scrollTo(0, 0));
      await tab.page.screenshot({ path: `${PICTURES}${state}-${screen}-${colorScheme}.png`, fullPage });
      await tab.isAccessible();
    },
  })));
}
