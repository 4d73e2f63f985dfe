// Has a program run from its sources with their types taken out and nothing else changed, as once it is built. What runs sources in
// development names each function anew whenever one is made, at a price that the built program does not pay.
import { register } from 'node:module';

register('./plain-types.mjs', import.meta.url);
