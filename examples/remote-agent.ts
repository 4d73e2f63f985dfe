import { type Runtime, RuntimeError } from '../src/agents/runtime.ts';

/**
 * An agent that is a service of your own, in any language: it is sent the turn as JSON and answers with plain text, which is
 * shown as it comes. Run it with RUNTIME_MODULES=./examples/remote-agent.ts REMOTE_AGENT_URL=http://127.0.0.1:9000 npm start
 */
export function remoteAgent(url = process.env.REMOTE_AGENT_URL): Runtime {
  return {
    name: 'remote',
    parametersSchema: {
      type: 'object',
      properties: { tone: { type: 'string', description: 'How the agent is to speak.' } },
      additionalProperties: false,
    },
    async *reply({ agentName, systemPrompt, state, history, parameters }, signal) {
      if (url === undefined) throw new RuntimeError('The agent has no address. Set REMOTE_AGENT_URL.');
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ agentName, systemPrompt, state, history, parameters }),
        signal,
      });
      if (!response.ok || !response.body) throw new RuntimeError(`The agent answered with status ${response.status}.`);
      yield { type: 'text-start' };
      for await (const text of response.body.pipeThrough(new TextDecoderStream())) yield { type: 'text-delta', text };
      yield { type: 'text-end' };
      yield { type: 'finish' };
    },
  };
}

export default remoteAgent();
