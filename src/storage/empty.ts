import { MessageChannel } from 'node:worker_threads';

const { port1: nobody, port2 } = new MessageChannel();
port2.close();

/**
 * Frees the memory of bytes that nobody uses any more, which leaves none of them. Memory outside of the heap that waits for a collection
 * makes V8 collect all of the heap: 20 MB a second did so more than once a second, and each time held up all requests.
 */
export function empty(bytes: Uint8Array): void {
  const { buffer } = bytes;
  // Other bytes may lie in the same buffer. What is sent to a port that is closed is gone.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) nobody.postMessage(null, [buffer]);
}
