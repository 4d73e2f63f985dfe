import { testCostOfPages } from './harness/list-cost.ts';

testCostOfPages(50_000);
