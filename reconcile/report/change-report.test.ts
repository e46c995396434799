/** A change as text and Markdown; a plan, a change and faults as SARIF and JUnit. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { blue, green, own, red } from '../../test/plan-cases.ts';
import { declared, desiredState, liveState, runningVm } from '../../test/vm-builder.ts';
import { causesOf } from '../change/causes.ts';
import { compareDeclared } from '../change/declared-change.ts';
import { type Change, changeVersion } from '../change/model.ts';
import type { DesiredTarget } from '../desired/model.ts';
import { diffState } from '../diff/diff.ts';
import { PatchpanelError, PatchpanelErrors } from '../errors.ts';
import type { LiveVm } from '../live/model.ts';
import { makePlan } from '../plan/plan.ts';
import { blockerCodes } from '../plan/plan-json.ts';
import { parseXml } from '../systems/xml-tree.ts';
import { changeMarkdown } from './change-markdown.ts';
import { changeText } from './change-text.ts';
import { faultMarkdown } from './fault-markdown.ts';
import { changeFindings, faultFindings, planFindings } from './findings.ts';
import { sampleBlocked, samplePlan, samplePlug } from './fixtures/sample-plan.ts';
import { changeJunit, faultJunit, planJunit } from './junit.ts';
import { planMarkdown } from './plan-markdown.ts';
import { sarifText } from './sarif.ts';
import { makeStyle } from './style.ts';

const plain = makeStyle(false);

function changeOf(base: readonly DesiredTarget[], head: readonly DesiredTarget[], vms?: readonly LiveVm[]): Change {
  const [before, after] = [desiredState(base), desiredState(head)];
  const common = {
    version: changeVersion,
    source: after.source,
    base: { kind: 'rendered', source: { kind: 'git', url: '.', ref: 'main', commit: 'b'.repeat(40), path: 'vms' } },
    declared: compareDeclared(after, before),
  } as const;
  if (vms === undefined) return common;
  const also = [...base, ...head].flatMap(({ attachments }) => attachments.map(({ network }) => network.name));
  const live = liveState(vms, { also });
  const [was, is] = [before, after].map((state) => makePlan(diffState(state, live), state, live));
  assert.ok(is);
  return { ...common, cluster: causesOf(is, was) };
}

/** On db-0 red was due and blue is new; web-0 has drift alone; gone-0 is removed. */
const change = changeOf(
  [declared([red]), declared([green], { name: 'web-0' }), declared([red], { name: 'gone-0' })],
  [declared([red, blue]), declared([green], { name: 'web-0' })],
  [runningVm([]), runningVm([], { name: 'web-0' }), runningVm([], { name: 'gone-0' })],
);

test('text: what the change causes, what was due before, what is no longer', () => {
  const text = changeText(change, plain);
  const order = [
    'Of this change:',
    'plug blue',
    'with nothing to do for it:',
    'prod/gone-0  removed',
    'Due before this change:',
    'plug red',
    'plug green',
    'No longer due',
  ];
  const places = order.map((words) => text.indexOf(words));
  assert.ok(
    places.every((place) => place >= 0),
    text,
  );
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
    text,
  );
  assert.match(text, /compared with main@bbbbbbbb\n/);
  assert.match(text, /\nThis change: 1 VM to change \(1 plug\)\. Due before it: 2 VMs\. No longer due: 1 VM\.\n$/);
});

test('text without a cluster: what is declared', () => {
  const { cluster: _, ...declaredOnly } = change;
  const text = changeText(declaredOnly, plain);
  assert.match(text, /prod\/db-0 {2}changed {2}vms\/db-0\.yaml:1\n {2}\+ blue into blue-net\n/);
  assert.match(
    text,
    /prod\/gone-0 {2}removed\n {2}\. the object is removed: what patchpanel plugged stays \(prune is off\): red\n/,
  );
  assert.doesNotMatch(text, /web-0/);
  assert.match(
    changeText(changeOf([declared([blue])], [declared([blue])]), plain),
    /This change declares nothing new\.\n$/,
  );
});

test('Markdown: summary, blockers, table, picture, a fold a VM, drift in a fold', () => {
  const blocked = changeOf([declared([])], [declared([blue])], [runningVm([], { ports: 1 })]);
  const text = changeMarkdown(blocked, 'prod/east');
  assert.ok(text.startsWith('<!-- patchpanel plan: prod/east -->\n**This change: 1 VM blocked.**\n'));
  assert.ok(text.indexOf('### Blocked') < text.indexOf('| object | declared | state | does |'));
  assert.match(text, /x-- "blocked: blue" --x n0/);
  const drift = changeMarkdown(change);
  assert.match(
    drift,
    /\| prod\/db-0 \| changed \(\+1\) \| running \| \+ \|\n\| prod\/gone-0 \| removed \| {2}\| none \|\n/,
  );
  assert.match(drift, /<summary>prod\/db-0, running<\/summary>\n\n```diff\n\+ plug blue into blue-net\n/);
  assert.match(
    drift,
    /<summary>Due before this change, apart from the above: 2 VMs<\/summary>\n\n```diff\n\. prod\/db-0\n\+ plug red/,
  );
  assert.match(drift, /<summary>No longer due with this change: 1<\/summary>/);
  assert.equal(drift.match(/^\| prod\//gm)?.length, 2, 'drift alone has no row');
});

test('Markdown of a base that can not be rendered says so', () => {
  const faults = [
    { code: 'yaml/syntax', message: 'what | is @this', position: { file: 'a.yaml', line: 2, column: 3 } },
  ];
  const text = changeMarkdown({ ...change, base: { kind: 'unrendered', ref: 'main', faults } });
  assert.match(
    text,
    /^> main can not be rendered, so all that is declared is taken to be of this change: {2}\n> a\.yaml:2:3: what \\\| is @\u200bthis \(yaml\/syntax\)/m,
  );
});

test('a comment stays under 65,000 characters with 2,000 VMs, whatever becomes of them', () => {
  const names = Array.from({ length: 2000 }, (_, index) => `vm-${index}-${'x'.repeat(index % 200)}`);
  const targets = (nics: Parameters<typeof declared>[0]) => names.map((name) => declared(nics, { name }));
  const vms = (ports: number) => names.map((name) => runningVm([red], { name, ports, ...own('red') }));
  const cases = [
    changeMarkdown(changeOf(targets([red]), targets([blue, green]))),
    changeMarkdown(changeOf(targets([red]), targets([blue, green]), vms(8))),
    changeMarkdown(changeOf(targets([blue]), targets([blue]), vms(8))),
    changeMarkdown(changeOf(targets([red]), targets([red, blue, green]), vms(2))),
    changeMarkdown(changeOf(targets([red]), [declared([])], vms(2))),
    planMarkdown(samplePlan(names.map((name) => ({ ...samplePlug, target: { ...samplePlug.target, name } })))),
    faultMarkdown(new PatchpanelErrors(names.map((name) => new PatchpanelError('schema/invalid', name.repeat(40))))),
  ];
  for (const text of cases) {
    assert.ok(text.length < 65_000, `${text.length} characters`);
    assert.equal((text.match(/^```/gm)?.length ?? 0) % 2, 0, 'every fence is closed');
    assert.equal(text.match(/<details>/g)?.length, text.match(/<\/details>/g)?.length);
  }
  assert.match(cases[1] ?? '', /\d+ more objects are not shown/);
});

const hostile = [
  '</summary><script>alert(1)</script>',
  '```\n# heading',
  '~~~\n@team',
  '| a | b |\n|---|',
  '-->\n<!-- patchpanel plan -->',
  '"] --> x["click me',
  'end\nclick t0 "javascript:alert(1)"',
  '`@everyone` [x](http://evil) ![y](http://evil) $x$ ~z~',
  '\u202egnp.exe',
];

test('nothing in a name or a message breaks out of a comment, a picture, SARIF or JUnit', () => {
  for (const evil of hostile) {
    const target = {
      ...samplePlug,
      target: { ...samplePlug.target, name: evil, namespace: evil },
      position: { file: evil, line: 1, column: 1 },
      blockers: [{ code: 'foreign-nic', attachment: evil, message: evil, remedy: evil }],
      notes: [{ code: 'x', message: evil }],
      declared: [{ name: evil, network: { namespace: evil, name: evil }, binding: 'bridge', state: 'up' }],
    } as const;
    const text = planMarkdown(samplePlan([target, { ...sampleBlocked, blockers: target.blockers }]));
    const lines = text.split('\n');
    assert.deepEqual(
      lines.filter((line) => line.startsWith('```')),
      ['```mermaid', '```', '```diff', '```'],
    );
    assert.equal(lines.filter((line) => /(?<!\\)<!--/.test(line)).length - fencedMarkers(lines), 1, evil);
    assert.ok(!lines.some((line) => /^(#{1,2} |~~~)/.test(line) && !line.startsWith('# ')), evil);
    const prose = proseOf(lines);
    assert.doesNotMatch(prose, /@(?!\u200b)/);
    assert.doesNotMatch(prose, /(?<!\\)<(?!\/?details>|\/?summary>|!-- patchpanel plan -->)/);
    const rows = lines.filter((line) => line.startsWith('| ')).map((line) => line.match(/(?<!\\)\|/g)?.length);
    assert.deepEqual(rows, [4, 4, 4], 'each row has its three cells');
    const picture = text.slice(text.indexOf('flowchart LR'), text.indexOf('```', text.indexOf('flowchart LR')));
    for (const line of picture.trimEnd().split('\n').slice(1)) {
      assert.match(
        line,
        /^ {2}(t\d+\["[\p{L}\p{N} ./:_#;-]*"\]|n\d+\(\["[\p{L}\p{N} ./:_#;-]*"\]\)|t\d+ (--|==|-\.|x--) "[\p{L}\p{N} ./:_#;-]*" ?(---|==>|\.->|-->|--x) n\d+)$/u,
      );
    }
    const plan = samplePlan([target]);
    const sarif = JSON.parse(sarifText(planFindings(plan), '1.0.0'));
    const [{ artifactLocation }] = sarif.runs[0].results[0].locations.map((each: Located) => each.physicalLocation);
    assert.equal(artifactLocation.uri.split('/').map(decodeURIComponent).join('/'), evil);
    assert.ok(parseXml(planJunit(plan)).ok, evil);
  }
});

interface Located {
  readonly physicalLocation: object;
}

/** Inside a fence a marker is text. */
function fencedMarkers(lines: readonly string[]): number {
  let isInside = false;
  let count = 0;
  for (const line of lines) {
    if (line.startsWith('```')) isInside = !isInside;
    else if (isInside && /(?<!\\)<!--/.test(line)) count += 1;
  }
  return count;
}

function proseOf(lines: readonly string[]): string {
  let isInside = false;
  return lines
    .filter((line) => {
      if (line.startsWith('```')) isInside = !isInside;
      return !isInside && !line.startsWith('```');
    })
    .join('\n')
    .replaceAll(/`[^`]*`/g, '');
}

test('SARIF: blockers of the change are errors, older ones warnings, the rest notes, each at its place', () => {
  const old = changeOf(
    [declared([red]), declared([green], { name: 'web-0' })],
    [declared([red, blue]), declared([green], { name: 'web-0' })],
    [runningVm([], { ports: 1 }), runningVm([], { name: 'web-0', ports: 1 })],
  );
  const log = JSON.parse(sarifText(changeFindings(old), '1.2.3'));
  assert.equal(log.version, '2.1.0');
  const [run] = log.runs;
  assert.equal(run.tool.driver.version, '1.2.3');
  const results = run.results.map(({ ruleId, level }: { ruleId: string; level: string }) => `${ruleId} ${level}`);
  assert.deepEqual(results, ['no-ports error', 'no-ports warning']);
  for (const { ruleId, ruleIndex, locations, partialFingerprints } of run.results) {
    assert.equal(run.tool.driver.rules[ruleIndex].id, ruleId);
    assert.deepEqual(locations[0].physicalLocation, {
      artifactLocation: { uri: 'vms/db-0.yaml', uriBaseId: '%SRCROOT%' },
      region: { startLine: 1, startColumn: 1 },
    });
    assert.match(partialFingerprints['patchpanel/v1'], /^[0-9a-f]{64}$/);
  }
  const prints = run.results.map((each: { partialFingerprints: object }) => JSON.stringify(each.partialFingerprints));
  assert.equal(new Set(prints).size, prints.length);
  const page = readFileSync(fileURLToPath(new URL('../../docs/reference/blockers.md', import.meta.url)), 'utf8');
  for (const code of blockerCodes) {
    assert.ok(
      run.tool.driver.rules.some(({ id }: { id: string }) => id === code),
      code,
    );
    assert.ok(page.includes(`\n### \`${code}\`\n`), `${code} has its section, which the rule refers to`);
  }
});

test('SARIF of faults, of too many findings, and of objects that are removed', () => {
  const position = { file: 'vms/ä b.yaml', line: 4, column: 2 };
  const faults = [
    new PatchpanelError('schema/unknown-key', 'unknown key nic', { position }),
    new PatchpanelError('source/empty', 'nothing'),
  ];
  const { results, tool } = JSON.parse(sarifText(faultFindings(new PatchpanelErrors(faults)), '1')).runs[0];
  assert.equal(results[0].locations[0].physicalLocation.artifactLocation.uri, 'vms/%C3%A4%20b.yaml');
  assert.equal(results[0].message.text, 'unknown key nic. Remove it, or correct its spelling.');
  assert.equal(tool.driver.rules[results[0].ruleIndex].id, 'schema/unknown-key');
  assert.equal(results.length, 2);
  const many = Array.from(
    { length: 6000 },
    (_, index) => ({ rule: 'change', level: 'note', message: `${index}`, position }) as const,
  );
  const capped = JSON.parse(sarifText([...many, ...faultFindings(new PatchpanelError('source/empty', 'nothing'))], '1'))
    .runs[0];
  assert.equal(capped.results.length, 5000);
  assert.equal(capped.results[0].level, 'error', 'errors are kept');
  const removed = changeFindings(changeOf([declared([blue])], []));
  assert.deepEqual(
    removed.map(({ message }) => message),
    ['prod/db-0 removed: . the object is removed: what patchpanel plugged stays (prune is off): blue'],
  );
  assert.deepEqual(JSON.parse(sarifText(removed, '1')).runs[0].results, []);
});

test('JUnit: a blocked target fails, one that was blocked before is skipped, a fault is a failure', () => {
  const old = changeOf(
    [declared([red]), declared([green], { name: 'web-0' })],
    [declared([red, blue]), declared([green], { name: 'web-0' })],
    [runningVm([], { ports: 1 }), runningVm([], { name: 'web-0', ports: 1 })],
  );
  const text = changeJunit(old);
  assert.match(text, /<testsuites name='patchpanel plan' tests='2' failures='1' errors='0' skipped='1'>/);
  assert.match(
    text,
    /<testcase name='prod\/web-0' classname='prod' file='vms\/db-0\.yaml' line='1'>\n\s+<skipped message='blocked before/,
  );
  assert.match(
    planJunit(samplePlan([samplePlug])),
    /failures='0'[\s\S]*<system-out>- unplug backup&#10;~ set the link/,
  );
  const fault = new PatchpanelError('yaml/syntax', 'a\u0000b\ud800', {
    position: { file: 'x.yaml', line: 3, column: 9 },
  });
  assert.match(
    faultJunit(fault),
    /name='x\.yaml:3:9 yaml\/syntax' classname='input' file='x\.yaml' line='3'>\n\s+<failure type='yaml\/syntax' message='a\\u0000b\ufffd'>/,
  );
  assert.match(
    faultMarkdown(fault, 'a'),
    /^<!-- patchpanel plan: a -->\n\*\*Not valid: 1 fault; nothing was planned\.\*\*\n[\s\S]*\| x\.yaml:3:9 \| /,
  );
});
