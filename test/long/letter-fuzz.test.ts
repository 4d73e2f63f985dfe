import { testBrokenLetters } from '../harness/broken-letters.ts';

testBrokenLetters(2000);
