/** The data of each `next` event of a GraphQL response over server-sent events, until `complete`. */
export async function* sseData(response: Response): AsyncGenerator<string, void> {
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
    yield await response.text();
    return;
  }
  for await (const block of blocks(response)) {
    const fields = block.split('\n').map((line) => /^([^:]*): ?(.*)$/s.exec(line)?.slice(1) ?? [line, '']);
    const value = (name: string) => fields.filter(([field]) => field === name).map(([, text]) => text);
    const [event] = value('event');
    if (event === 'complete') return;
    if (event === 'next') yield value('data').join('\n');
  }
  throw new Error('The stream broke off without `complete`.');
}

/** The events of the stream, which empty lines separate. */
async function* blocks(response: Response): AsyncGenerator<string, void> {
  let text = '';
  for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += piece;
    const complete = text.split('\n\n');
    text = complete.pop() ?? '';
    yield* complete;
  }
}
