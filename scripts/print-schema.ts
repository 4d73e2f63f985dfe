import { writeFileSync } from 'node:fs';
import { printPublicSchema } from '../src/graphql/print.ts';

writeFileSync(new URL('../schema.graphql', import.meta.url), printPublicSchema());
