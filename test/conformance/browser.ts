import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { openBrowser } from '../e2e/browser.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

const importMap = {
  imports: {
    glyphmill: '/packages/client/src/index.js',
    'glyphmill/browser': '/packages/client/src/browser.js',
  },
};

/** A page of a real browser with the client as it is published: compiled, not bundled. `dir` is for what is compiled. */
export async function openBrowserPage(dir: string) {
  const project = join(root, 'test/conformance/tsconfig.browser.json');
  await promisify(execFile)('npx', ['tsc', '-p', project, '--outDir', dir], { cwd: root, timeout: 60_000 });
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://host').pathname));
    const isPage = path === '/';
    const body = isPage
      ? `<!doctype html><script type="importmap">${JSON.stringify(importMap)}</script>`
      : await readFile(join(dir, path)).catch(() => undefined);
    if (body === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': isPage ? 'text/html' : 'text/javascript' }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP port');
  const browser = await openBrowser();
  const page: Page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(`http://127.0.0.1:${address.port}/`);
  return {
    page,
    /** What went wrong in the page and was caught by nobody. */
    errors,
    async close(): Promise<void> {
      await browser.close();
      server.close();
      server.closeAllConnections();
    },
  };
}
export type BrowserPage = Awaited<ReturnType<typeof openBrowserPage>>;
