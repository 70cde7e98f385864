import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { apiKeyFileSchema, findApiKey, hasScope, newApiKey } from '@glyphmill/service/api-key';
import { createLogger } from '@glyphmill/service/logger';
import { openApiKeyFile } from 'glyphmill-api/api-key-file';

const log = createLogger({ service: 'test', level: 'silent' });

test('a new key is found again by itself, and its entry does not hold it', () => {
  const { key, entry } = newApiKey({ tenant: 'acme', scopes: ['jobs:read'] });
  assert.match(key, /^gm_[0-9a-f]{12}_[\w-]{43}$/);
  assert.ok(!JSON.stringify(entry).includes(key.slice(-20)));
  assert.deepEqual(apiKeyFileSchema.parse([entry]), [entry]);
  assert.equal(findApiKey(new Map([[entry.id, entry]]), key), entry);
});

test('a wrong secret, an unknown id and things that are no key are all not found', () => {
  const { key, entry } = newApiKey({ tenant: 'acme', scopes: ['jobs:read'] });
  const entries = new Map([[entry.id, entry]]);
  const other = newApiKey({ tenant: 'acme', scopes: ['jobs:read'] }).key;
  const swapped = `gm_${entry.id}_${other.slice(-43)}`;
  const wrong = [
    other,
    swapped,
    key.slice(0, -1),
    `${key}x`,
    key.toUpperCase(),
    '',
    'gm__',
    `gm_${entry.id}_`,
  ];
  for (const text of [...wrong, 'constructor', `gm_constructor_${'a'.repeat(43)}`, '\0'.repeat(1000)]) {
    assert.equal(findApiKey(entries, text), undefined, text);
  }
  // The digest of nothing is no way in either.
  assert.equal(findApiKey(new Map([[entry.id, { ...entry, sha256: '0'.repeat(64) }]]), key), undefined);
});

test('the scope admin implies every other, and no other implies anything', () => {
  assert.ok(hasScope(['admin'], 'webhooks:admin'));
  assert.ok(hasScope(['jobs:read'], 'jobs:read'));
  assert.ok(!hasScope(['jobs:read', 'webhooks:admin'], 'jobs:write'));
});

test('a key file with a doubled id or a field it does not know is refused without showing digests', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-keys-'));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, 'keys.json');
  const { entry } = newApiKey({ tenant: 'acme', scopes: ['admin'] });
  const wrong = [
    [entry, entry],
    [{ ...entry, role: 'x' }],
    [{ ...entry, scopes: ['everything'] }],
    {},
    entry.sha256,
  ];
  for (const content of wrong) {
    await writeFile(path, JSON.stringify(content));
    assert.throws(() => openApiKeyFile(path, { log }), doesNotShow(entry.sha256));
  }
  await writeFile(path, `[{"sha256":"${entry.sha256}"`);
  assert.throws(() => openApiKeyFile(path, { log }), doesNotShow(entry.sha256));
  assert.throws(() => openApiKeyFile(join(dir, 'none.json'), { log }), /cannot be read/);
});

test('a changed key file is read again, and a broken one leaves the keys as they were', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'glyphmill-keys-'));
  const path = join(dir, 'keys.json');
  const [first, second] = [1, 2].map(() => newApiKey({ tenant: 'acme', scopes: ['admin'] }).entry);
  assert.ok(first && second);
  await writeFile(path, JSON.stringify([first]));
  const file = openApiKeyFile(path, { log, pollMs: 20 });
  t.after(() => {
    file.close();
    return rm(dir, { recursive: true });
  });
  assert.deepEqual([...file.keys().keys()], [first.id]);

  await writeFile(path, 'not json');
  await replace(path, [first, second]);
  await until(() => file.keys().has(second.id));
  await replace(path, [second]);
  await until(() => !file.keys().has(first.id));
});

async function replace(path: string, entries: object[]): Promise<void> {
  await writeFile(`${path}.new`, JSON.stringify(entries));
  await rename(`${path}.new`, path);
}

function doesNotShow(secret: string) {
  return (error: unknown) => error instanceof Error && !error.message.includes(secret);
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, 'gave up waiting');
    await delay(10);
  }
}
