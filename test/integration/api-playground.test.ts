import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { type Api, type Stores, startApi, startStores } from './api-setup.ts';

let stores: Stores;
let api: Api;
before(async () => {
  stores = await startStores();
  api = await startApi(stores, { PLAYGROUND: 'on' });
});
after(async () => {
  await api.close();
  await stores.stop();
});

/** What a page or one of its modules names: elements' addresses, imports, url() of styles. */
function namedIn(text: string, address: string): URL[] {
  const named = text.matchAll(
    /(?:<(?:link|script|img)[^>]*? (?:href|src)="|\bfrom '|\burl\(")(\.?[^"':]+\.(?:css|js|svg|woff2))["']/g,
  );
  return [...named].map(([, relative = '']) => new URL(relative, address));
}

test('both pages and all that they load come from the API, at most 150 kB, and nothing inline', async () => {
  const waiting = [new URL('/', api.baseUrl), new URL('/queues', api.baseUrl)];
  const seen = new Map<string, number>();
  for (let url = waiting.shift(); url !== undefined; url = waiting.shift()) {
    if (seen.has(url.href)) continue;
    assert.equal(url.origin, api.baseUrl);
    const answer = await fetch(url);
    assert.equal(answer.status, 200, url.href);
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    const policy = answer.headers.get('content-security-policy') ?? '';
    assert.match(policy, /^default-src 'none'; /);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    assert.equal(answer.headers.get('set-cookie'), null);
    const text = await answer.text();
    seen.set(url.href, Number(answer.headers.get('content-length')));
    assert.doesNotMatch(text, /\s(?:style|on[a-z]+)="|<style|<script(?! type="module" src=)/, url.href);
    waiting.push(...namedIn(text, url.href));
  }
  assert.ok(seen.size > 15, `${seen.size} files`);
  const sizeBytes = [...seen.values()].reduce((sum, size) => sum + size, 0);
  assert.ok(sizeBytes > 20_000 && sizeBytes < 150_000, `${sizeBytes} bytes`);
});

test('a browser that has a file is told that it is the same', async () => {
  const url = `${api.baseUrl}/assets/base.css`;
  const etag = (await fetch(url)).headers.get('etag') ?? '';
  const again = await fetch(url, { headers: { 'if-none-match': etag } });
  assert.equal(again.status, 304);
  assert.equal((await fetch(url, { headers: { 'if-none-match': '"other"' } })).status, 200);
});

test('only its own files are served, and the API’s description does not name them', async () => {
  for (const path of [
    '/assets/',
    '/assets/tsconfig.json',
    '/assets/../package.json',
    '/assets/%2e%2e%2fpackage.json',
  ]) {
    assert.equal((await fetch(`${api.baseUrl}${path}`)).status, 404, path);
  }
  const { paths } = z
    .object({ paths: z.record(z.string(), z.unknown()) })
    .parse(await (await fetch(`${api.baseUrl}/openapi.json`)).json());
  assert.deepEqual(
    Object.keys(paths).filter((path) => !/^\/(v1\/|livez$|readyz$)/.test(path)),
    [],
  );
});

test('an API that is not told to has no pages', async () => {
  const bare = await startApi(stores);
  for (const path of ['/', '/queues', '/assets/read.js']) {
    await bare.stranger.refused('not-found', 'GET', path);
  }
  await bare.close();
});
