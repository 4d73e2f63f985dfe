import { Termination } from './exit-signals.ts';
import { makeObjectsYoung } from './young-memory.ts';

// Comes first, before modules that take long to load, so that a signal at any time shuts down in order.
const termination = new Termination();

makeObjectsYoung();

/** How long the last lines of the log may take to be written, in milliseconds. */
const FLUSH_MS = 500;

/** The deadline of a shutdown before the settings are read, in seconds. */
const EARLY_SHUTDOWN_SECONDS = 20;

await main();

async function main(): Promise<void> {
  const began = performance.now();
  const [{ readConfig, SettingsError }, { StartupError }, { Faults }, { createLogger, flushLogs }] = await Promise.all([
    import('./config.ts'),
    import('./errors.ts'),
    import('./faults.ts'),
    import('./logger.ts'),
  ]);
  let shutdownSeconds = EARLY_SHUTDOWN_SECONDS;
  const exit = async (code: number): Promise<never> => {
    await flushLogs(FLUSH_MS);
    process.exit(code);
  };
  termination.signal.addEventListener('abort', () => {
    setTimeout(() => {
      process.stderr.write(`The shutdown took longer than ${shutdownSeconds} s (SHUTDOWN_SECONDS).\n`);
      void exit(1);
    }, shutdownSeconds * 1000).unref();
  });
  try {
    const config = readConfig();
    ({ shutdownSeconds } = config);
    const logger = createLogger({ level: config.logLevel });
    const faults = new Faults(logger);
    faults.watch(process);
    logger.info('Parley is starting.');
    const [{ startApp }, { loadRuntimes }] = await Promise.all([
      import('./app.ts'),
      import('./agents/load-runtimes.ts'),
    ]);
    logger.info(`Loaded the program (${((performance.now() - began) / 1000).toFixed(1)} s).`);
    const app = await startApp(config, logger, await loadRuntimes(config.runtimeModules, logger), termination.signal);
    process.stdout.write(announcement(app));
    await aborted(termination.signal);
    logger.info(`${termination.name ?? 'A signal'}: shutting down.`);
    // Only SIGTERM drains: a signal from a terminal means that there is no load balancer.
    await app.close({ drain: termination.name === 'SIGTERM', hurry: termination.hurry });
    const { unhandledRejections, uncaughtExceptions } = faults;
    if (unhandledRejections + uncaughtExceptions > 0) {
      logger.warn({ unhandledRejections, uncaughtExceptions }, 'faults that nothing caught, since the start');
    }
    logger.info('Shut down.');
    await exit(0);
  } catch (error) {
    const expected = error instanceof SettingsError || error instanceof StartupError;
    process.stderr.write(`${error instanceof Error ? (expected ? error.message : error.stack) : String(error)}\n`);
    await exit(termination.signal.aborted ? 0 : 1);
  }
}

interface Announced {
  url: string;
  newKey: string | null;
  hasUsedKey: boolean;
  signInLink: string | null;
  setupLink: string | null;
}

function announcement({ url, newKey, hasUsedKey, signInLink, setupLink }: Announced): string {
  const lines = [`Parley is running at ${url}/graphql`];
  if (signInLink) {
    lines.push(`Open GraphiQL, signed in (the link works once; npm run sign-in prints another):  ${signInLink}`);
  }
  if (setupLink) lines.push(`The first admin signs in here:  ${setupLink}`);
  if (newKey) lines.push(`Your API key, shown only now:  ${newKey}`);
  else if (!hasUsedKey) lines.push('No API key has been used yet. To have another:  npm run keys -- create "My key"');
  return `\n${lines.map((line) => `  ${line}\n`).join('')}\n`;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}
