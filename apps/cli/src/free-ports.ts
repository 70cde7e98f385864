import { createServer } from 'node:net';
import { CliError } from './cli-error.ts';

const host = '127.0.0.1';

/** Ports nobody listens on just now, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const held = await Promise.all(Array.from({ length: count }, () => hold(0)));
  await Promise.all(held.map(({ release }) => release()));
  return held.map(({ port }) => port);
}

/** Throws unless the port is free. */
export async function expectFree(port: number, remedy: string): Promise<void> {
  try {
    const { release } = await hold(port);
    await release();
  } catch (error) {
    throw new CliError('failed', `port ${port} is taken by another program; ${remedy}`, { cause: error });
  }
}

async function hold(wanted: number): Promise<{ port: number; release: () => Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(wanted, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP port');
  return {
    port: address.port,
    release: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
