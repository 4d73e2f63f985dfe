import { modelRuntime } from '../../src/agents/model/runtime.ts';
import { createLogger } from '../../src/logger.ts';
import type { ModelServer, Script } from './model-server.ts';
import { schemas } from './schemas.ts';
import { replyOf, turnOf } from './turn.ts';

export const MB = 1_000_000;

/** How the runtime alone replies. */
export function replyOfModel(url: string, apiKey: string) {
  const runtime = modelRuntime({
    search: async () => ({ passages: [], near: [] }),
    schemas,
    logger: createLogger({ level: 'silent' }),
    allowPrivateAddresses: false,
    settings: { url: `${url}/v1`, apiKey, model: 'fake' },
  });
  return replyOf(runtime, turnOf({ systemPrompt: 'hidden-prompt' }));
}

/** What the process holds at most meanwhile, beyond what it held before; and how much it let the server send. */
export async function flooded(model: ModelServer, apiKey: string, script: Script) {
  let sent = () => 0;
  model.answer((response, request) => {
    const { socket } = response;
    sent = () => socket?.bytesWritten ?? 0;
    script(response, request);
  });
  const held = () => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const before = held();
  let peak = 0;
  const watch = setInterval(() => (peak = Math.max(peak, held() - before)), 5);
  const outcome = await replyOfModel(model.url, apiKey);
  clearInterval(watch);
  await model.requests[0]?.closed;
  console.log(`sent ${(sent() / MB).toFixed(1)} MB, held ${(peak / MB).toFixed(1)} MB more`);
  return { ...outcome, sent: sent(), peak };
}
