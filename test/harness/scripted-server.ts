import { beforeAll } from 'vitest';
import { createConversation } from './commands.ts';
import { createAgent, ScriptedRuntime } from './scripted-runtime.ts';
import { type ServerOptions, type TestServer, useServer } from './server.ts';

export interface ScriptedServer {
  readonly server: TestServer;
  readonly runtime: ScriptedRuntime;
  /** An empty conversation whose agent says what the test has it say. */
  readonly idle: () => Promise<{ id: string; cursor: string }>;
}

/** A server with a scripted agent for the tests of this file. */
export function useScriptedServer(options: Pick<ServerOptions, 'config'> = {}): ScriptedServer {
  const runtime = new ScriptedRuntime();
  const server = useServer({ ...options, runtimes: [runtime] });
  let agentId: string;
  beforeAll(async () => {
    agentId = await createAgent(server.services, 'scripted');
  });
  return {
    server,
    runtime,
    idle: async () => {
      const { conversation, cursor } = await createConversation(server, { agentId, action: 'NONE' });
      return { id: conversation.id, cursor };
    },
  };
}
