/** What is asked of the worker. Schemas and values come as JSON. */
export interface SchemaRequest {
  id: number;
  schema: string;
  /** Left out: whether the schema may be used at all, as whoever writes it has to know. */
  value?: string;
}

/** One fault of a value. */
export interface ValueFault {
  /** From the value down, list indexes in decimal. */
  path: string[];
  /** As in "must be string". */
  message: string;
  /** The last step of the path is a property that the schema does not know. */
  unknownProperty: boolean;
}

export interface SchemaAnswer {
  id: number;
  /** Why the schema cannot be used, as a sentence without its subject. */
  schemaFault: string | null;
  /** The first thing that is wrong with the value. */
  valueFault: ValueFault | null;
}

/** The worker says that it has started, and then answers. */
export type SchemaMessage = 'ready' | SchemaAnswer;
