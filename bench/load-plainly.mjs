// Has a program run from its sources with their types taken out and nothing else changed, as once it is built. What runs sources in
// development names each function anew whenever one is made, at a price that nobody pays in production.
import { register } from 'node:module';

register('./plain-types.mjs', import.meta.url);
