/** A request to the worker. Schemas and values are JSON texts. */
export interface SchemaRequest {
  id: number;
  schema: string;
  /** Left out: checks whether the schema itself may be used, before it is written. */
  value?: string;
}

/** One problem of a value. */
export interface ValueFault {
  /** Path from the value down. List indexes are decimal numbers. */
  path: string[];
  /** For example "must be string". */
  message: string;
  /** Whether the last step of the path is a property that the schema does not know. */
  unknownProperty: boolean;
}

export interface SchemaAnswer {
  id: number;
  /** Why the schema cannot be used, as a sentence without a subject. */
  schemaFault: string | null;
  /** The first thing that is wrong with the value. */
  valueFault: ValueFault | null;
}

/** The worker reports that it has started, and then answers requests. */
export type SchemaMessage = 'ready' | SchemaAnswer;
