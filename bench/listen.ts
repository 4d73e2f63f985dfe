import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Has a server listen at a port of this machine that is free; resolves with its URL. */
export function listen(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      resolve(`http://127.0.0.1:${port}`);
    });
  });
}
