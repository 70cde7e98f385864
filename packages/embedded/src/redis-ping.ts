import { connect } from 'node:net';

const REPLY_TIMEOUT_MS = 1000;

/** Whether a server answers PING with PONG there; one that is still loading its data does not. */
export async function ping(socketPath: string): Promise<boolean> {
  return (await command(socketPath, 'PING')) === '+PONG';
}

/** Asks the server, if one is there, to save and end. It answers by closing the connection. */
export async function shutDown(socketPath: string): Promise<void> {
  await command(socketPath, 'SHUTDOWN');
}

/** Sends one inline RESP command; resolves to the reply's first line, undefined when none came. */
function command(socketPath: string, text: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let reply = '';
    const socket = connect(socketPath, () => socket.write(`${text}\r\n`));
    socket.setTimeout(REPLY_TIMEOUT_MS, () => socket.destroy());
    socket.on('data', (chunk) => {
      reply += chunk;
      if (reply.includes('\r\n')) socket.destroy();
    });
    // Refused, missing or reset: close follows each, and the missing reply tells the caller.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(reply.includes('\r\n') ? reply.split('\r\n')[0] : undefined));
  });
}
