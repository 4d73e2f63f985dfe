import { testCostOfPages } from '../harness/list-cost.ts';

testCostOfPages(1_000_000);
