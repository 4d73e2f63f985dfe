import type { Socket } from 'node:net';

/**
 * Connections that have not sent a valid credential yet. Their number is limited, with half as many for one address,
 * so that clients who never send one leave room for others.
 */
export class Strangers {
  private readonly limit: number;
  private readonly sockets = new Map<Socket, string>();
  private readonly perAddress = new Map<string, number>();

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Counts a new connection until it closes or is known. False if there are too many. */
  admit(socket: Socket): boolean {
    const address = socket.remoteAddress ?? '';
    const count = this.perAddress.get(address) ?? 0;
    if (this.sockets.size >= this.limit || count >= Math.ceil(this.limit / 2)) return false;
    this.sockets.set(socket, address);
    this.perAddress.set(address, count + 1);
    socket.once('close', () => this.know(socket));
    return true;
  }

  /** Stops counting a connection, because it has sent a valid credential. */
  know(socket: Socket): void {
    const address = this.sockets.get(socket);
    if (address === undefined) return;
    this.sockets.delete(socket);
    const left = (this.perAddress.get(address) ?? 1) - 1;
    if (left > 0) this.perAddress.set(address, left);
    else this.perAddress.delete(address);
  }
}
