// Ports of 127.0.0.1 that nobody listens on.
import { once } from 'node:events';
import { createServer } from 'node:net';

// Above what devstack gives away, and below what systems give to outgoing connections.
const FROM = 32_000;
const COUNT = 700;

/** So many different ones. */
export async function freePorts(count) {
  const found = new Set();
  while (found.size < count) {
    const port = FROM + Math.floor(Math.random() * COUNT);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

async function isFree(port) {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
