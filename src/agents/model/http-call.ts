import type { IncomingMessage } from 'node:http';
import { type Json, type JsonObject, isDeeperThan, MAX_DEPTH } from '../../json.ts';
import type { HttpTool } from '../http-tool.ts';
import { type OutboundRules, post } from '../../outbound/post.ts';
import { PrivateAddressError } from '../../outbound/public-address.ts';

/** Why a tool could not be used, in a sentence that the model and anybody else may read. */
export class ToolError extends Error {
  override name = 'ToolError';
}

export type HttpCallOptions = OutboundRules;

/** The longest response of a tool, in bytes. */
const MAX_BYTES = 256 * 1024;

/**
 * Calls an operator's endpoint by POST, with the arguments as JSON. Returns the response: parsed if it is JSON, else as text,
 * null if it is empty. Follows no redirects.
 * @throws {ToolError} for every failure of the call. Rejects with the signal's reason when the signal aborts.
 */
export async function callHttpTool(
  tool: HttpTool,
  args: JsonObject,
  { signal, ...options }: HttpCallOptions & { signal: AbortSignal },
): Promise<Json> {
  const timeout = AbortSignal.timeout(tool.timeoutSeconds * 1000);
  let what = 'could not be reached';
  try {
    const response = await call(tool, args, AbortSignal.any([signal, timeout]), options);
    what = 'broke off its answer';
    const { statusCode = 0 } = response;
    if (statusCode < 200 || statusCode > 299) {
      response.destroy();
      const redirected = statusCode >= 300 && statusCode < 400 ? ', a redirect, which is not followed' : '';
      throw new ToolError(`The tool answered with status ${statusCode}${redirected}.`);
    }
    return parse(response.headers, await readBody(response));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ToolError) throw error;
    if (timeout.aborted) throw new ToolError(`The tool did not answer within ${tool.timeoutSeconds} s.`);
    if (error instanceof PrivateAddressError) throw new ToolError('The address of the tool is not allowed.');
    throw new ToolError(`The tool ${what}.`, { cause: error });
  }
}

function call(tool: HttpTool, args: JsonObject, signal: AbortSignal, rules: HttpCallOptions): Promise<IncomingMessage> {
  const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/*;q=0.9' });
  for (const [name, value] of Object.entries(tool.headers)) headers.set(name, value);
  return post(new URL(tool.url), JSON.stringify(args), { ...rules, signal, headers: Object.fromEntries(headers) });
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Leaving the loop early closes the connection.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.byteLength;
    if (length > MAX_BYTES) throw new ToolError('The tool answered with more than 256 KiB.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(headers: IncomingMessage['headers'], body: string): Json {
  if (body === '') return null;
  const type = headers['content-type'] ?? 'text/plain';
  if (!/^(text\/|[^;]*[/+]json\b)/i.test(type) || (headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw new ToolError('The tool answered with neither JSON nor text.');
  }
  if (!/^[^;]*[/+]json\b/i.test(type)) return body;
  let value: Json;
  try {
    value = JSON.parse(body) as Json;
  } catch {
    throw new ToolError('The tool answered with JSON that is not well-formed.');
  }
  if (isDeeperThan(value, MAX_DEPTH)) throw new ToolError('The tool answered with JSON that is nested too deeply.');
  return value;
}
