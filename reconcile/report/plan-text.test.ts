import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Plan, VmPlan } from '../plan/model.ts';
import { sampleBlocked, samplePlan, samplePlug } from './fixtures/sample-plan.ts';
import { planMarkdown } from './plan-markdown.ts';
import { planSummary, planText } from './plan-text.ts';
import { makeStyle, printable } from './style.ts';

const plain = makeStyle(false);

test('a plan as text shows actions, ports, blockers with their remedy, and a sum', () => {
  assert.equal(
    planText(samplePlan([samplePlug, sampleBlocked]), plain),
    `main@aaaaaaaa  https://git.example/net vms
https://api.example:6443  KubeVirt of unknown version, plugs in place (DaemonSet x/y)

prod/db-0  running  vms/db-0.yaml:1
  - unplug backup
  ~ set the link of mgmt down
  + plug storage into storage-net mac 02:00:00:00:0a:01  -> port 5  after prod/web-0/1
  ~ move web from vlan10 to lab/vlan20, by migration
  ports [#-x.+] 1 used, 1 freed, 1 to be used, 1 free, 1 not hot-pluggable
  note: extra is neither declared nor ours: left alone

prod/full-0  running  vms/full-0.yaml:3
  ! blocked (no-ports) full-0 has no free PCIe port, 1 is needed
      Unplug a NIC, or declare pciePorts.

ports: # used  + to be used  - to be freed  . free  x not hot-pluggable
changes: + plug  - unplug  ~ other change  . follow what is under way, or tidy the record
Plan: 1 VM to change (1 plug, 1 unplug, 2 other changes), 1 VM blocked, 3 unchanged.
`,
  );
});

test('a blocker of an attachment tells where that is declared', () => {
  const position = { file: 'vms/full-0.yaml', line: 9, column: 7 };
  const found = { code: 'network-missing', attachment: 'a', position, message: 'no b', remedy: 'Make b.' } as const;
  const plan = samplePlan([{ ...sampleBlocked, blockers: [found] }]);
  assert.match(planText(plan, plain), /^ {2}! blocked \(network-missing\) a: no b {2}vms\/full-0\.yaml:9$/m);
  assert.match(planMarkdown(plan), /\*\*prod\/full-0\*\* a vms\/full-0\.yaml:9 \(network-missing\): no b\. Make b\.$/m);
});

test('when changes may be begun is told where there are any, by whose word, and in which stages', () => {
  const night = { start: '0 22 * * 1-5', duration: '6h', timeZone: 'Europe/Zurich' };
  const day = { start: '0 8 * * *', duration: '10h', timeZone: 'UTC' };
  const made = samplePlan([samplePlug, { ...samplePlug, target: { ...samplePlug.target, name: 'db-1' } }]);
  const plan: Plan = {
    ...made,
    settings: {
      ...made.settings,
      canary: { count: 1 },
      allowWindows: [{ from: 'repository', overridable: true, windows: [night, day] }],
      denyWindows: [{ from: 'policy', overridable: false, windows: [day] }],
    },
    policy: { from: 'patchpanel/policy', tightened: [] },
  };
  for (const text of [planText(plan, plain), planMarkdown(plan).replaceAll('\\', '')]) {
    assert.match(text, /begun only in the windows 0 22 \* \* 1-5 for 6h, Europe\/Zurich; 0 8 \* \* \* for 10h, UTC$/m);
    assert.match(text, /no change is begun in the window 0 8 .*, by the policy in patchpanel\/policy$/m);
    assert.match(text, /In stages: prod\/db-0 first; then 1 more\./);
  }
  assert.doesNotMatch(planText({ ...plan, targets: [sampleBlocked] }, plain), /window/);
});

test('VMs that the repository no longer names are told of, and a fleet of them is counted', () => {
  const vms = Array.from({ length: 12 }, (_, index) => ({
    namespace: 'prod',
    name: `old-${index}`,
    owned: ['blue'],
    why: 'prune-off' as const,
  }));
  const plan = { ...samplePlan([]), undeclared: vms };
  const line = 'prod/old-9 has no object in the repository; what patchpanel plugged there stays: blue';
  assert.ok(planText(plan, plain).includes(`note: ${line}\nnote: 2 more VMs without an object have such NICs\n`));
  assert.match(planMarkdown(plan), /^- prod\/old-9 has no object in the repository; .*: blue$/m);
});

test('an action that comes after one of another VM names it in words', () => {
  const action = { kind: 'unplug', id: 'prod/web-0/1', after: [], attachments: ['old'], delivery: 'in-place' } as const;
  const other: VmPlan = { ...samplePlug, target: { ...samplePlug.target, name: 'web-0' }, actions: [action] };
  assert.match(planText(samplePlan([samplePlug, other]), plain), / {2}after unplug old of prod\/web-0$/m);
});

test('a declared number of ports: now, after the next start, and what moves', () => {
  const target: VmPlan = {
    ...samplePlug,
    actions: [{ kind: 'set-ports', id: 'prod/db-0/1', after: [], knob: 'slot-count', value: 19, staged: true }],
    notes: [],
    portCount: {
      declared: 24,
      basis: 'xml',
      now: 9,
      afterRestart: 24,
      moves: Array.from({ length: 14 }, (_, index) => ({ device: `disk ${index}`, from: 7 + index, to: 22 + index })),
    },
  };
  const { ports: _, ...bare } = target;
  const text = planText(samplePlan([bare]), plain);
  assert.match(
    text,
    /^ {2}~ set kubevirt\.io\/pci-interface-slot-count to 19 in the template \(takes effect at the next restart\)$/m,
  );
  assert.match(text, /^ {2}port count 24 declared, 9 now, 24 after the next start \(forecast\)$/m);
  assert.match(
    text,
    /^ {2}PCI bus after the next start \(forecast\): disk 0 7 -> 22, .*disk 11 18 -> 33, and 2 more$/m,
  );
  const markdown = planMarkdown(samplePlan([bare]));
  assert.match(markdown, /^! set kubevirt/m);
  assert.match(markdown, /^# port count 24 declared/m);
  const forecast = {
    ...target.portCount,
    declared: 24,
    basis: 'forecast',
    now: 9,
    afterRestart: 24,
    moves: [],
  } as const;
  assert.match(planText(samplePlan([{ ...bare, portCount: forecast }]), plain), /24 declared, 9 now \(forecast\), 24/);
  const field = { kind: 'set-ports', id: 'prod/db-0/1', after: [], knob: 'field', value: 24, staged: false } as const;
  assert.match(
    planText(samplePlan([{ ...bare, actions: [field] }]), plain),
    /set domain\.devices\.numberPciPorts to 24 in the template \(takes effect at the next start\)/,
  );
});

test('an empty plan says that there is nothing to do', () => {
  const plan = samplePlan([]);
  assert.equal(planSummary(plan), 'Nothing to do: 3 VMs as declared.');
});

test('text from a cluster can not move the cursor or forge a line', () => {
  assert.equal(printable('a\u001b[2Jb\nc\u2028d'), 'a\\u001b[2Jb\\u000ac\\u2028d');
  assert.equal(printable('a\u202eb\u200bc'), 'a\\u202eb\\u200bc');
});

test('Markdown has blockers on top, a row a VM, and a folded diff', () => {
  const text = planMarkdown(samplePlan([samplePlug, sampleBlocked]));
  assert.ok(text.startsWith('<!-- patchpanel plan -->\n**Plan: 1 VM to change'));
  assert.ok(text.indexOf('### Blocked') < text.indexOf('| VM | state | changes |'));
  assert.match(text, /\| prod\/db-0 \| running \| - ~ \+ ~ \|/);
  assert.match(text, /<details><summary>prod\/db-0, running<\/summary>\n\n```diff\n- unplug backup\n! set the link/);
});

test('Markdown stays under the limit of a comment, whatever the plan, and counts what is left out', () => {
  const many = Array.from({ length: 5000 }, (_, index) => ({
    ...samplePlug,
    target: { ...samplePlug.target, name: `db-${index}` },
  }));
  const text = planMarkdown(samplePlan(many));
  assert.ok(text.length < 65_536);
  const rows = text.match(/^\| prod\/db-/gm)?.length ?? 0;
  assert.ok(rows > 50);
  assert.match(text, new RegExp(`${5000 - rows} more VMs are not shown`));
  const blocked = many.map((target) => ({ ...target, blockers: sampleBlocked.blockers }));
  assert.ok(planMarkdown(samplePlan(blocked)).length < 65_536);
});

test('names can not break out of the Markdown', () => {
  const evil = '</summary>|`x` @team ```';
  const text = planMarkdown(
    samplePlan([
      {
        ...samplePlug,
        blockers: [{ code: 'foreign-nic', attachment: evil, message: evil, remedy: evil }],
        notes: [{ code: 'x', message: '```\n# heading' }],
      },
    ]),
  );
  assert.ok(!text.includes('</summary>|'));
  assert.ok(!/[^\\]`x`/.test(text));
  assert.ok(!text.includes('@team'));
  assert.deepEqual(text.match(/^```.*/gm), ['```mermaid', '```', '```diff', '```']);
});

test('VMs that are as declared, and have NICs of others, are told one by one or counted', () => {
  const settled = Array.from({ length: 5 }, (_, index) => ({
    ...samplePlug,
    target: { ...samplePlug.target, name: `db-${index}` },
    actions: [],
    blockers: [],
    differences: [],
    notes: [{ code: 'unmanaged-nics', message: 'left alone: x' }],
  }));
  assert.equal(planText(samplePlan(settled.slice(0, 3)), plain).match(/left alone: x/g)?.length, 3);
  const many = planText(samplePlan([...settled, samplePlug]), plain);
  assert.doesNotMatch(many, /left alone: x/);
  assert.match(
    many,
    /\nnote: 5 VMs as declared have NICs that are neither declared nor plugged by patchpanel, so left alone: prod\/db-0, prod\/db-1, prod\/db-2, and 2 more\n/,
  );
});

test('a plan that goes in stages says so', () => {
  const plan = samplePlan([
    { ...samplePlug, wave: { index: 0, name: 'early' } },
    { ...samplePlug, target: { ...samplePlug.target, name: 'db-1' }, wave: { index: 2, name: 'the rest' } },
    { ...sampleBlocked, wave: { index: 2, name: 'the rest' } },
  ]);
  assert.match(planText(plan, plain), /\nIn stages: 1 of the wave "early"; then 1 of the wave "the rest"\.\n/);
  const canary = { ...plan, settings: { ...plan.settings, canary: { count: 1 } } };
  assert.match(planText(canary, plain), /\nIn stages: prod\/db-0 first; then 1 of the wave "the rest"\.\n/);
  const [first, ...others] = canary.targets;
  assert.ok(first !== undefined);
  const held = { ...first, actions: [], blockers: [{ code: 'held', message: 'm', remedy: 'r' }] as const };
  assert.match(
    planText({ ...canary, targets: [held, ...others] }, plain),
    /\nNot begun: 1 behind prod\/db-0 of the canaries, which is held\.\n/,
  );
  assert.doesNotMatch(planText(samplePlan([samplePlug]), plain), /In stages/);
});
