import { createSocket } from 'node:dgram';
import { once } from 'node:events';

// A name server of ours (RFC 1035), and what makes a process ask it: the address guard asks name servers
// directly, and node takes theirs from the system.

/** Addresses of a name; none: NXDOMAIN. */
export type Addresses = readonly string[];

export interface NameServer {
  /** Answers to questions for this name's IPv4 addresses in turn, the last of them for ever. */
  set(name: string, ...answers: Addresses[]): void;
  /** How often the addresses of this name were asked for. */
  asked(name: string): number;
  close(): Promise<void>;
}

const portSetting = 'FAULT_NAME_SERVER_PORT';
const headerBytes = 12;
const typeA = 1;
const flags = { answer: 0x8180, noSuchName: 3 };

/** What processes are started with that are to ask a name server at a port which is free now. */
export async function nameServerEnvironment(): Promise<Record<string, string>> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  const code = `import{Resolver}from'node:dns/promises';const p=Resolver.prototype,ask=p.resolve4;
p.resolve4=function(name){this.setServers(['127.0.0.1:'+process.env.${portSetting}]);return ask.call(this,name)}`;
  return {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}`,
    [portSetting]: `${port}`,
  };
}

/** At the port that this environment names. */
export async function startNameServer(env: Record<string, string>): Promise<NameServer> {
  const names = new Map<string, { answers: Addresses[]; asked: number }>();
  const socket = createSocket('udp4').bind(Number(env[portSetting]), '127.0.0.1');
  await once(socket, 'listening');
  socket.on('message', (question, { port, address }) => {
    const { name, type, end } = readQuestion(question);
    const known = names.get(name);
    let found: Addresses = known?.answers[Math.min(known.asked, known.answers.length - 1)] ?? [];
    const rcode = found.length === 0 ? flags.noSuchName : 0;
    if (type !== typeA) found = [];
    else if (known !== undefined) known.asked += 1;
    socket.send(answerTo(question.subarray(0, end), { rcode, addresses: found }), port, address);
  });
  return {
    set: (name, ...answers) => void names.set(name, { answers, asked: 0 }),
    asked: (name) => names.get(name)?.asked ?? 0,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function readQuestion(message: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = headerBytes;
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: message.readUInt16BE(at + 1), end: at + 5 };
}

/** `question` is the header and the one question in it, which the answer repeats. */
function answerTo(
  question: Buffer,
  { rcode, addresses }: { rcode: number; addresses: readonly string[] },
): Buffer {
  const head = Buffer.from(question);
  head.writeUInt16BE(flags.answer | rcode, 2);
  head.writeUInt16BE(addresses.length, 6);
  // No authority, and no additional records, whatever the question had of them.
  head.writeUInt32BE(0, 8);
  const records = addresses.map((address) => {
    const record = Buffer.alloc(16);
    // A pointer to the name in the question, an A record of class IN, not to be kept, of four bytes.
    record.writeUInt16BE(0xc000 | headerBytes, 0);
    record.writeUInt16BE(typeA, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt16BE(4, 10);
    record.set(address.split('.').map(Number), 12);
    return record;
  });
  return Buffer.concat([head, ...records]);
}
