import './schema/erasure.ts';
