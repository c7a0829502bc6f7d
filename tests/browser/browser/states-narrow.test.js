process.env.LONGHAUL_FONT = 'narrow';
await import('./states.js');
