import { testStopsAcrossServers } from './harness/stops-across-servers.ts';

testStopsAcrossServers(10);
