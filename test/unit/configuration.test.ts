import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { ConfigError, integer, readConfig, secretSetting, setting } from '@glyphmill/service/config';
import { z } from 'zod';
import { allSettings, generatedFiles } from '../fixtures/configuration-table.ts';

for (const { file, text } of generatedFiles())
  test(`${basename(file)} says what the schemas say`, () => {
    assert.equal(
      readFileSync(file, 'utf8'),
      text,
      'run node --import tsx test/fixtures/configuration-table.ts',
    );
  });

test('the README names the settings that it shows as they are', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const shown = [...readme.matchAll(/^\| `([A-Z0-9_]+)` \| ([^|]*) \|/gm)];
  assert.ok(shown.length >= 10, 'the README has a table of settings');
  const all = allSettings();
  for (const [, env = '', value = ''] of shown) {
    assert.ok(all.has(env), `${env} is a setting`);
    assert.equal(
      value.trim(),
      [...new Set(all.get(env)?.defaults)].join(' / '),
      `${env} has the default shown`,
    );
  }
});

const settings = {
  port: setting('PORT', integer(1, 65_535).default(80), 'A port.'),
  secret: secretSetting('SECRET', z.string().min(8), 'A secret.'),
};

test('an empty variable counts as unset', () => {
  assert.deepEqual(readConfig(settings, { PORT: '', SECRET: 'long enough' }), {
    port: 80,
    secret: 'long enough',
  });
});

test('all that is wrong is said at once, and no secret with it', () => {
  assert.throws(
    () => readConfig(settings, { PORT: 'eighty', SECRET: 'hunter2' }),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /PORT is "eighty"/);
      assert.match(error.message, /SECRET is set/);
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    },
  );
});
