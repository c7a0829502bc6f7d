process.env.LONGHAUL_FONT = 'own';
await import('./states.js');
