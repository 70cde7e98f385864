import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSecretSeal } from '@glyphmill/service/secret-seal';
import { newWebhookSecret } from '@glyphmill/service/webhook-secret';
import fc from 'fast-check';

const root = 'r'.repeat(32);
const seal = createSecretSeal([root]);

test('what is sealed opens for its owner, shows nothing of the secret, and looks new each time', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (secret, owner) => {
      const sealed = seal.seal(secret, owner);
      assert.equal(seal.open(sealed, owner), secret);
      assert.notEqual(sealed, seal.seal(secret, owner));
      if (secret.length > 3) assert.ok(!sealed.includes(secret), sealed);
    }),
  );
});

test('it opens for no other owner and not after any change', () => {
  const sealed = seal.seal(newWebhookSecret(), 'whk_1');
  assert.throws(() => seal.open(sealed, 'whk_2'));
  const start = sealed.lastIndexOf('.') + 1;
  for (let index = start; index < sealed.length - 1; index += 1) {
    const other = sealed[index] === 'A' ? 'B' : 'A';
    const changed = `${sealed.slice(0, index)}${other}${sealed.slice(index + 1)}`;
    assert.throws(() => seal.open(changed, 'whk_1'), Error, `at ${index}`);
  }
  for (const cut of [sealed.slice(0, -8), sealed.slice(0, start), '', 'v2.x.y']) {
    assert.throws(() => seal.open(cut, 'whk_1'), Error, cut);
  }
});

test('another root does not open it and says so; as the one before it does', () => {
  const sealed = seal.seal('whsec_x', 'whk_1');
  const next = 'n'.repeat(32);
  assert.equal(createSecretSeal([next]).open(sealed, 'whk_1'), undefined);
  const both = createSecretSeal([next, root]);
  assert.equal(both.open(sealed, 'whk_1'), 'whsec_x');
  const resealed = both.seal('whsec_x', 'whk_1');
  assert.equal(seal.open(resealed, 'whk_1'), undefined, 'the first root seals');
  assert.equal(createSecretSeal([next]).open(resealed, 'whk_1'), 'whsec_x');
});

test('each endpoint gets a secret of 32 random bytes in the form of Standard Webhooks', () => {
  const secrets = Array.from({ length: 100 }, newWebhookSecret);
  assert.equal(new Set(secrets).size, 100);
  for (const secret of secrets) {
    assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
    assert.equal(Buffer.from(secret.slice(6), 'base64').length, 32);
  }
});
