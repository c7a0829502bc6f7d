process.env.LONGHAUL_FONT = 'wide';
await import('./states.js');
