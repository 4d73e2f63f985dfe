import { loadRuntimes } from './agents/load-runtimes.ts';
import { startApp } from './app.ts';
import { readConfig, SettingsError } from './config.ts';
import { StartupError } from './errors.ts';
import { Faults } from './faults.ts';
import { createLogger } from './logger.ts';

try {
  const config = readConfig();
  const logger = createLogger({ level: config.logLevel });
  const faults = new Faults(logger);
  faults.watch(process);
  const app = await startApp(config, logger, await loadRuntimes(config.runtimeModules, logger));
  announce(app.url, app.newKey, config.databaseUrl === undefined);

  let closing = false;
  const terminate = (signal: NodeJS.Signals) => {
    // A second signal does not wait for the grace period.
    if (closing) process.exit(1);
    closing = true;
    logger.info(`${signal}: shutting down`);
    const { unhandledRejections, uncaughtExceptions } = faults;
    if (unhandledRejections + uncaughtExceptions > 0) {
      logger.warn({ unhandledRejections, uncaughtExceptions }, 'faults that nothing caught, since the start');
    }
    void app.close().then(() => process.exit(0));
  };
  process.on('SIGTERM', terminate);
  process.on('SIGINT', terminate);
} catch (error) {
  const expected = error instanceof SettingsError || error instanceof StartupError;
  process.stderr.write(`${error instanceof Error ? (expected ? error.message : error.stack) : String(error)}\n`);
  process.exit(1);
}

function announce(url: string, newKey: string | null, embedded: boolean): void {
  const lines = [
    '',
    `  Parley is running at ${url}/graphql`,
    embedded ? '  Open it in a browser for GraphiQL: it signs itself in on this machine.' : '',
    newKey ? `  Your API key, shown only now:  ${newKey}` : '',
    '',
  ];
  process.stdout.write(`${lines.filter((line, i) => line || i === 0 || i === lines.length - 1).join('\n')}\n`);
}
