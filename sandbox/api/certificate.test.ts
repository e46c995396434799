import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { selfSigned } from './certificate.ts';

test('the certificate is one that OpenSSL reads, for loopback, signed by itself', () => {
  const now = new Date('2026-03-01T00:00:00Z');
  const { certificate } = selfSigned(now);
  const parsed = new X509Certificate(certificate);
  assert.equal(parsed.checkIP('127.0.0.1'), '127.0.0.1');
  assert.equal(parsed.checkHost('localhost'), 'localhost');
  assert.equal(parsed.checkIP('127.0.0.2'), undefined);
  assert.ok(parsed.verify(parsed.publicKey));
  assert.equal(parsed.ca, true);
  assert.ok(new Date(parsed.validFrom) < now && new Date(parsed.validTo) > now);
});

test('no two are alike', () => {
  const now = new Date();
  assert.notEqual(selfSigned(now).certificate, selfSigned(now).certificate);
});
