import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { App } from './dependencies.ts';

/** The pages by their addresses; what they load is beside them. */
const pages = { '/': 'read.html', '/queues': 'queues.html' } as const;

const folder = new URL('../public/', import.meta.url);
/** Inter (OFL-1.1), as its package on npm has it: looks the same everywhere, and comes from here like all else. */
const fontFile = 'inter.woff2';
const fontUrl = import.meta.resolve('@fontsource-variable/inter/files/inter-latin-wght-normal.woff2');

const mediaTypes: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
};

/**
 * Everything comes from this server and goes to it. The key that a visitor types in is kept where no other page can
 * read it, and nothing that a document says can become part of a page but as text.
 */
const headers = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "font-src 'self'",
    "img-src 'self' blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Pages for people, which use the API as anybody may: to try a picture, and to watch the queues. */
export function addPlayground(app: App): void {
  for (const [path, file] of Object.entries(pages)) addFile(app, path, file);
  const isPage = (name: string) => Object.values<string>(pages).includes(name);
  // A route for each file: what is not among them cannot be asked for.
  for (const file of readdirSync(folder)) {
    if (extname(file) in mediaTypes && !isPage(file)) addFile(app, `/assets/${file}`, file);
  }
  addFile(app, `/assets/${fontFile}`, fontFile, new URL(fontUrl));
}

function addFile(app: App, path: string, name: string, source = new URL(name, folder)): void {
  const bytes = readFileSync(source);
  const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
  const type = mediaTypes[extname(name)] ?? 'application/octet-stream';
  app.get(path, { config: { scope: 'public' }, schema: { hide: true } }, async (request, reply) => {
    reply.headers({ ...headers, etag });
    if (request.headers['if-none-match'] === etag) return reply.code(304).send();
    return reply.type(type).send(bytes);
  });
}
