import type { Socket } from 'node:net';

/**
 * The connections whose sender has not shown a credential yet. There are so many at most, and half as many of one address,
 * so that those who never show one leave room for those who do.
 */
export class Strangers {
  private readonly limit: number;
  private readonly sockets = new Map<Socket, string>();
  private readonly perAddress = new Map<string, number>();

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Takes a place for a new connection, until it closes or is known. False: there is none left. */
  admit(socket: Socket): boolean {
    const address = socket.remoteAddress ?? '';
    const count = this.perAddress.get(address) ?? 0;
    if (this.sockets.size >= this.limit || count >= Math.ceil(this.limit / 2)) return false;
    this.sockets.set(socket, address);
    this.perAddress.set(address, count + 1);
    socket.once('close', () => this.know(socket));
    return true;
  }

  /** Gives the place of a connection back: its sender has shown a credential. */
  know(socket: Socket): void {
    const address = this.sockets.get(socket);
    if (address === undefined) return;
    this.sockets.delete(socket);
    const left = (this.perAddress.get(address) ?? 1) - 1;
    if (left > 0) this.perAddress.set(address, left);
    else this.perAddress.delete(address);
  }
}
