import { type Profiler, Session } from 'node:inspector/promises';
import { findSourceMap } from 'node:module';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A function and how much of the time it ran itself, in per cent of the time that the process was not idle. */
export interface Spot {
  module: string;
  /** `name file:line`, as far as they are known. */
  where: string;
  share: number;
}

let session: Session | undefined;

/** Starts V8's sampling profiler in this process. */
export async function startProfile(): Promise<void> {
  session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 500 });
  await session.post('Profiler.start');
}

/** Stops it; returns where the time went, the most first. */
export async function stopProfile(): Promise<Spot[]> {
  if (!session) throw new Error('No profile was started.');
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  session = undefined;
  return spotsOf(profile);
}

/** What is no work of the program; `dispatch` is the profiler itself, as it is started and stopped. */
const apart = ['(idle)', 'dispatch'];

function spotsOf(profile: Profiler.Profile): Spot[] {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const times = new Map<string, { spot: Spot; time: number }>();
  let total = 0;
  for (const [index, id] of (profile.samples ?? []).entries()) {
    const frame = frames.get(id);
    if (!frame || apart.includes(frame.functionName)) continue;
    const time = profile.timeDeltas?.[index] ?? 0;
    total += time;
    const key = `${frame.functionName}|${frame.url}|${frame.lineNumber}|${frame.columnNumber}`;
    const known = times.get(key);
    if (known) known.time += time;
    else times.set(key, { spot: { module: moduleOf(frame), where: placeOf(frame), share: 0 }, time });
  }
  return [...times.values()]
    .map(({ spot, time }) => ({ ...spot, share: (100 * time) / total }))
    .sort((a, b) => b.share - a.share);
}

type Frame = Profiler.ProfileNode['callFrame'];

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Who wrote it: an npm package, Node, V8, Parley, or the bench. */
function moduleOf({ url, functionName }: Frame): string {
  if (url === '') return functionName === '(garbage collector)' ? 'garbage collection' : 'native: system calls, V8';
  const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
  if (name) return name;
  if (url.startsWith('node:')) return nodeModuleOf(url);
  return pathOf(url).startsWith('bench/') ? 'bench' : 'parley';
}

function nodeModuleOf(url: string): string {
  if (/stream|net$|_http|tls|writable|readable/.test(url)) return 'node: net, streams';
  if (/timers|task_queues|promises|async_hooks|process/.test(url)) return 'node: timers, ticks';
  if (/events|event_target|abort/.test(url)) return 'node: events, aborting';
  return 'node: other';
}

function placeOf({ functionName, url, lineNumber, columnNumber }: Frame): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (!url.startsWith('file:')) return url === '' ? name : `${name} ${url}`;
  const path = fileURLToPath(url);
  const entry = findSourceMap(path)?.findEntry(lineNumber, columnNumber);
  const line = entry && 'originalLine' in entry ? entry.originalLine : lineNumber;
  return `${name} ${pathOf(url)}:${line + 1}`;
}

function pathOf(url: string): string {
  return url.startsWith('file:') ? relative(root, fileURLToPath(url)).replace(/^.*node_modules\//, '') : url;
}
