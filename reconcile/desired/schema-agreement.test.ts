import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as z from 'zod';
import { jsonSchemaOf, type Kind, networkAttachmentsSchema } from './schema.ts';
import { settingsSchema } from './settings-schema.ts';

const junk = fc.oneof(fc.constantFrom<unknown>(null, [], {}, 'text', 1.5, true), fc.integer());

/** Nearly always what is wanted, now and then anything. */
function mostly(wanted: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 60, arbitrary: wanted }, { weight: 1, arbitrary: junk });
}

/** An object of these fields, some of them optional, now and then with one field too many. */
function objectOf(fields: Record<string, fc.Arbitrary<unknown>>, required: readonly string[]): fc.Arbitrary<unknown> {
  const record = fc.record(fields, { requiredKeys: [...required], noNullPrototype: true });
  const extra = fc.oneof({ weight: 40, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: fc.constant({ x: 1 }) });
  return mostly(fc.tuple(record, extra).map(([known, more]) => ({ ...known, ...more })));
}

const goodName = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const oddName = fc.constantFrom(
  ...['a-b', 'a.b', 'A', '-a', 'a-', 'a..b', 'a/b', 'a.b/c', 'a/b/c', '', 'a b', 'é'],
  ...[63, 64, 253, 254].map((length) => 'x'.repeat(length)),
);
const name = fc.oneof({ weight: 8, arbitrary: goodName }, { weight: 1, arbitrary: oddName });
const mac = fc.constantFrom(
  ...['02:70:70:00:0a:01', '02-70-70-00-0A-01', '0270.7000.0a01', '02:70:70:00:0a', '02:70-70:00:0a:01', 'zz', ''],
  ...['01:00:5e:00:00:01', '00:00:00:00:00:00', 'ffff.ffff.ffff', '02:00:00:00:00:00'],
);
const metadata = {
  name: mostly(name),
  labels: mostly(fc.dictionary(goodName, mostly(goodName), { maxKeys: 2, noNullPrototype: true })),
};
const attachment = objectOf(
  {
    name: mostly(name),
    network: mostly(name),
    mac: mostly(mac),
    binding: mostly(fc.constantFrom('bridge', 'bridge', 'sriov', 'masquerade')),
    model: mostly(fc.constantFrom('virtio', 'e1000', 'virtoi')),
    state: mostly(fc.constantFrom('up', 'up', 'down', 'absent')),
  },
  ['name', 'network'],
);
const tooMany = fc.constantFrom(255, 256).map((length) => Array(length).fill({ name: 'a', network: 'b' }));
const networkAttachments = objectOf(
  {
    apiVersion: mostly(fc.constant('patchpanel.dev/v1alpha1')),
    kind: mostly(fc.constant('NetworkAttachments')),
    metadata: objectOf({ ...metadata, namespace: mostly(name) }, ['name']),
    spec: objectOf(
      {
        target: objectOf({ kind: mostly(fc.constantFrom('VirtualMachine', 'Pod')), name: mostly(name) }, []),
        pciePorts: mostly(fc.constantFrom(0, 24, 8.5, 232, 233, -1)),
        restart: mostly(fc.constantFrom('never', 'allowed', 'stage')),
        attachments: mostly(
          fc.oneof({ weight: 9, arbitrary: fc.array(attachment, { maxLength: 2 }) }, { weight: 1, arbitrary: tooMany }),
        ),
      },
      ['attachments'],
    ),
  },
  ['apiVersion', 'kind', 'metadata', 'spec'],
);
/** Nearly always one of the good values. */
function chosen(good: readonly unknown[], bad: readonly unknown[]): fc.Arbitrary<unknown> {
  return mostly(
    fc.oneof({ weight: 20, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: fc.constantFrom(...bad) }),
  );
}

/** A list that is now and then empty. */
function listOf(one: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return mostly(
    fc.oneof(
      { weight: 20, arbitrary: fc.array(one, { minLength: 1, maxLength: 2 }) },
      { weight: 1, arbitrary: fc.constant([]) },
    ),
  );
}

const timeWindow = objectOf(
  {
    start: mostly(fc.constantFrom('0 2 * * 6', '0 2 * *', '* '.repeat(101))),
    duration: mostly(fc.constantFrom('2h', '0m', 'PT2H')),
    timeZone: mostly(fc.constantFrom('Europe/Zurich', 'Mars')),
  },
  ['start', 'duration'],
);
const wave = objectOf(
  {
    name: mostly(name),
    namespaces: mostly(fc.array(goodName, { maxLength: 2 })),
    vms: mostly(fc.array(chosen(['web-*', 'web-0', '*'], ['w*b', '', 'Web']), { maxLength: 2 })),
    labels: mostly(fc.dictionary(goodName, goodName, { maxKeys: 2, noNullPrototype: true })),
  },
  ['name'],
);
const settings = objectOf(
  {
    apiVersion: mostly(fc.constant('patchpanel.dev/v1alpha1')),
    kind: mostly(fc.constant('Settings')),
    metadata: objectOf(metadata, []),
    spec: objectOf(
      {
        maxInFlight: chosen([1, 4, 1000], [0, 1001, 1.5]),
        maxInFlightPerNode: chosen([1, 1000], [0, 1001]),
        canary: chosen([1, '1%', '100%'], [0, '0%', '101%', '5']),
        maxRemovals: chosen([0, 1, '0%', '10%', '100%'], [-1, '010%', '1.5%']),
        maxFailures: chosen([1], [0]),
        onFailure: chosen(['reverse', 'hold', 'retry'], ['ignore']),
        prune: mostly(fc.boolean()),
        suspend: mostly(fc.boolean()),
        suspendedNamespaces: mostly(fc.array(goodName, { maxLength: 2 })),
        waves: listOf(wave),
        restart: chosen(['never', 'stage', 'allowed'], ['always']),
        restartWindows: listOf(timeWindow),
        allowWindows: listOf(timeWindow),
        denyWindows: listOf(timeWindow),
      },
      [],
    ),
  },
  ['apiVersion', 'kind', 'spec'],
);

/** What JSON Schema can not say is left to the load: each of these faults is one of a value that is well formed. */
function isBeyondJsonSchema(error: z.ZodError): boolean {
  return error.issues.every(({ code }) => code === 'custom');
}

function agree(kind: Kind, documents: fc.Arbitrary<unknown>): { accepted: number; refused: number } {
  const own = kind === 'Settings' ? settingsSchema : networkAttachmentsSchema;
  // Read back by zod's reader of JSON Schema, which knows nothing of how the schema was made.
  const published = z.fromJSONSchema(JSON.parse(JSON.stringify(jsonSchemaOf(kind))));
  const seen = { accepted: 0, refused: 0 };
  fc.assert(
    fc.property(documents, (document) => {
      const result = own.safeParse(document);
      const expected = result.success || isBeyondJsonSchema(result.error);
      seen[expected ? 'accepted' : 'refused'] += 1;
      assert.equal(published.safeParse(document).success, expected, JSON.stringify(document));
    }),
    { numRuns: 2000 },
  );
  return seen;
}

test('the published schemas accept and refuse what a load does', () => {
  for (const [kind, documents] of [
    ['NetworkAttachments', networkAttachments],
    ['Settings', settings],
  ] as const) {
    const { accepted, refused } = agree(kind, documents);
    assert.ok(accepted > 50 && refused > 50, `${kind}: ${accepted} accepted, ${refused} refused`);
  }
});
