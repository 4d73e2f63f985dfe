// Prints the link that signs the next browser on this machine in, while a server with the built-in database runs: npm run sign-in
import { existsSync, readFileSync } from 'node:fs';
import { signInFile } from '../src/access/local-sign-in.ts';
import { readConfig } from '../src/config.ts';

const { dataDir } = readConfig();
const file = signInFile(dataDir);
if (existsSync(file)) {
  process.stdout.write(readFileSync(file, 'utf8'));
} else {
  process.stderr.write(
    `No server on ${dataDir} signs browsers in. Start one with npm start, or set DATA_DIR to its folder. ` +
      'With DATABASE_URL, NODE_ENV=production or INTROSPECTION=off there is no such link: give an API key.\n',
  );
  process.exitCode = 1;
}
