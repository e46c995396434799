/** The page of panels as a reader meets it: what is shown, found, reached by keyboard, and kept out. */
import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import type { Picture } from '../../reconcile/report/html/model.ts';
import { picturePage } from '../../reconcile/report/html/page.ts';
import { contrast } from '../../reconcile/report/html/palette.ts';
import { fleetPage, fleetPicture } from './fleet.ts';
import { withBrowser } from './stage.ts';

const test = withBrowser();

test('one VM: ports, cables, steps and the outcome can be read without seeing them', async (open) => {
  const { page } = await open(fleetPage(1));
  const tree = await page.locator('#panels').ariaSnapshot();
  for (const wanted of [
    /heading "prod\/db-0" \[level=2\]/,
    /list "state":\s+- listitem: to unplug\s+- listitem: to plug/,
    /list "PCIe ports of db-0: 8 ports: 2 used, 2 to be used, 4 free"/,
    /listitem "port 2 \(0000:02:00\.0\) used: interface ua-storage"/,
    /listitem "port 3 \(0000:03:00\.0\) to be used by mgmt"/,
    /listitem "port 8 \(0000:08:00\.0\) free"/,
    /list "attachments"/,
    /listitem:\s+- text: plug tenant-a\s+- button "tenant-a-net"\s+- code: "?02:00:00:00:00:03/,
    /listitem:\s+- text: unplug backup/,
    /listitem: unmanaged default default network/,
    /unplug backup[\s\S]*drop the ownership record of backup[\s\S]*plug mgmt into mgmt-net/,
  ]) {
    assert.match(tree, wanted);
  }
  assert.match((await page.locator('header').textContent()) ?? '', /1 VM to change \(2 plugs, 1 unplug\)/);
  assert.equal(await page.title(), 'plan of fleet folder@00');
});

test('a blocked VM shows its reason and its remedy', async (open) => {
  const { page } = await open(fleetPage(50));
  const panel = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: 'prod/db-48' }) });
  const text = (await panel.getByRole('list', { name: 'blockers' }).textContent()) ?? '';
  assert.match(text, /db-48 has 0 free PCIe ports, 2 are needed no-ports/);
  assert.match(text, /Remove 2 attachments of db-48/);
});

test('filters show what is in any of the pressed states, and say how many', async (open) => {
  const { page, shown, names } = await open(fleetPage(50));
  const all = fleetPicture(50).panels;
  const count = (...states: readonly string[]) => all.filter(({ is }) => is.some((one) => states.includes(one))).length;
  const blocked = page.getByRole('button', { name: /^Blocked/ });
  assert.equal(await blocked.getAttribute('aria-pressed'), 'false');
  await blocked.click();
  assert.equal(await blocked.getAttribute('aria-pressed'), 'true');
  assert.equal(await shown.count(), count('blocked'));
  assert.equal(await page.getByRole('status').textContent(), `${count('blocked')} of 50 shown`);
  await page.getByRole('button', { name: /^To plug/ }).click();
  assert.equal(await shown.count(), count('blocked', 'plug'));
  await page.getByRole('button', { name: 'Clear' }).click();
  assert.equal(await shown.count(), 50);
  assert.equal((await names())[0], 'prod/db-12');
});

test('search finds VMs by name, network, MAC, state and blocker, and says where there are none', async (open) => {
  const { page, shown, names } = await open(fleetPage(50));
  const search = page.getByRole('searchbox');
  for (const [words, found] of [
    ['DB-48', ['prod/db-48']],
    ['02:00:00:00:30:03', ['prod/db-48']],
    ['no-ports', ['prod/web-9', 'prod/db-48']],
    ['paused prod/', ['prod/edge-router-15']],
    ['db-0.yaml unplug', ['prod/db-0']],
  ] as const) {
    await search.fill(words);
    assert.deepEqual((await names()).toSorted(), found.toSorted(), words);
  }
  await search.fill('nothing-is-called-so');
  assert.equal(await shown.count(), 0);
  assert.ok(await page.getByText('Nothing here fits').isVisible());
  await search.press('Escape');
  assert.equal(await shown.count(), 50);
});

test('a network shows the VMs that are plugged into it', async (open) => {
  const { page, shown } = await open(fleetPage(50));
  await page.locator('.index summary').click();
  const row = page.locator('#networks li').filter({ hasText: 'prod/iot-net' });
  assert.match((await row.textContent()) ?? '', /prod\/iot-net.*\d+ stays/);
  await row.getByRole('button').click();
  assert.equal(await page.getByRole('searchbox').inputValue(), 'net:prod/iot-net');
  const { panels, networks } = fleetPicture(50);
  const there = panels.filter(({ cables }) => cables.some(({ net = -1 }) => networks[net] === 'prod/iot-net'));
  assert.equal(await shown.count(), there.length);
  await page.getByRole('searchbox').fill('');
  await page.getByRole('button', { name: 'edge-net' }).first().click();
  assert.equal(await page.getByRole('searchbox').inputValue(), 'net:prod/edge-net');
});

/** What has the focus, in short. */
async function focus(page: Page): Promise<string> {
  return await page.evaluate(() => {
    const { activeElement: element } = document;
    const label = element?.getAttribute('aria-label') ?? element?.textContent ?? '';
    return `${element?.localName} ${label}`.slice(0, 60);
  });
}

test('all can be reached by keyboard alone, and what has the focus is seen', async (open) => {
  const { page, shown } = await open(fleetPage(50));
  await page.keyboard.press('Tab');
  assert.equal(await focus(page), 'a Skip to the panels');
  await page.keyboard.press('Tab');
  assert.match(await focus(page), /^summary Networks/);
  await page.keyboard.press('Tab');
  assert.match(await focus(page), /^button ×Blocked/);
  await page.keyboard.press('Space');
  assert.equal(await shown.count(), 5);
  await page.keyboard.press('/');
  assert.match(await focus(page), /^input Search/);
  await page.keyboard.type('db-');
  assert.equal(await shown.count(), 2);
  await page.keyboard.press('ArrowDown');
  assert.equal(await focus(page), 'a prod/db-12');
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle);
  assert.equal(outline, 'solid');
  await page.keyboard.press('ArrowDown');
  assert.equal(await focus(page), 'a prod/db-48');
  await page.keyboard.press('Home');
  assert.equal(await focus(page), 'a prod/db-12');
  await page.keyboard.press('Tab');
  assert.match(await focus(page), /^g port 1 /);
  await page.keyboard.press('ArrowRight');
  assert.match(await focus(page), /^g port 2 /);
  assert.match(
    (await shown.first().locator('.ports').textContent()) ?? '',
    /^port 2 \(0000:02:00\.0\) used: interface/,
  );
  await page.keyboard.press('End');
  assert.match(await focus(page), /^g port 12 /);
  await page.keyboard.press('Tab');
  assert.match(await focus(page), /^button /);
  assert.match((await shown.first().locator('.ports').textContent()) ?? '', /^12 ports/);
  await page.keyboard.press('/');
  await page.keyboard.press('Escape');
  assert.equal(await shown.count(), 50);
});

/** Colour of text, and of what is behind it, for every kind of text on the page. */
async function textColours(page: Page): Promise<readonly (readonly [what: string, text: string, behind: string])[]> {
  return await page.evaluate(() => {
    const hex = (colour: string): string => {
      const parts = colour.match(/[\d.]+/g) ?? [];
      return `#${parts
        .slice(0, 3)
        .map((part) => Number(part).toString(16).padStart(2, '0'))
        .join('')}`;
    };
    const behind = (element: Element | null): string => {
      const colour = element === null ? 'rgb(255,255,255)' : getComputedStyle(element).backgroundColor;
      return /, 0\)$/.test(colour) ? behind(element?.parentElement ?? null) : hex(colour);
    };
    const kinds = new Map<string, Element>();
    for (const element of document.querySelectorAll('header *, .bar *, main *, footer *')) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim() !== '');
      if (own && !(element instanceof SVGElement) && element.checkVisibility())
        kinds.set(`${element.localName}.${element.className} in ${element.parentElement?.className}`, element);
    }
    return [...kinds].map(([what, element]) => [what, hex(getComputedStyle(element).color), behind(element)] as const);
  });
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`every text on the page has the contrast of WCAG AA: ${colorScheme}`, async (open) => {
    const { page } = await open(fleetPage(50), { colorScheme, viewport: { width: 1280, height: 9000 } });
    await page.locator('.index summary').click();
    const found = await textColours(page);
    assert.ok(found.length > 25, `${found.length}`);
    const poor = found.filter(([, text, behind]) => contrast(text, behind) < 4.5);
    assert.deepEqual(poor, []);
    const page0 = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(page0, colorScheme === 'light' ? 'rgb(238, 240, 242)' : 'rgb(15, 19, 22)');
  });
}

for (const forcedColors of ['none', 'active'] as const) {
  test(`without colour states differ by sign, word and line: forced colours ${forcedColors}`, async (open) => {
    const { page } = await open(fleetPage(50), { forcedColors, viewport: { width: 1280, height: 9000 } });
    const lines = await page.evaluate(() => {
      const found: [string, string][] = [];
      for (const cable of document.querySelectorAll('.cable')) {
        const { strokeWidth, strokeDasharray } = getComputedStyle(cable);
        found.push([cable.getAttribute('class') ?? '', `${strokeWidth} ${strokeDasharray}`]);
      }
      return found;
    });
    const shapes = new Map(lines);
    assert.ok(shapes.size >= 7, [...shapes.keys()].join());
    assert.equal(new Set(shapes.values()).size, shapes.size, JSON.stringify([...shapes]));
    for (const word of ['plug', 'unplug', 'blocked', 'stays', 'change', 'in flight', 'unmanaged'])
      assert.ok(await page.locator('.row .state', { hasText: word }).first().isVisible(), word);
  });
}

test('nothing moves for those who asked for that', async (open) => {
  const cable = '.cable.t-flight';
  const animation = (page: Page) =>
    page
      .locator(cable)
      .first()
      .evaluate((element) => getComputedStyle(element).animationName);
  const options = { viewport: { width: 1280, height: 9000 } };
  assert.equal(await animation((await open(fleetPage(50), { ...options, reducedMotion: 'reduce' })).page), 'none');
  assert.equal(
    await animation((await open(fleetPage(50), { ...options, reducedMotion: 'no-preference' })).page),
    'flow',
  );
});

test('names that are markup are shown as they are, and do nothing', async (open) => {
  const evil = `"><img src="https://evil.example/x" onerror="alert(1)"></script><script>alert(2)</script>'\`&lt;{{7*7}}\u2028`;
  const picture: Picture = {
    ...fleetPicture(1),
    source: evil,
    revision: evil,
    summary: evil,
    facts: [[evil, evil]],
    notices: [evil],
    calm: evil,
    networks: [evil],
    runs: [{ at: evil, outcome: evil, commit: evil, what: evil, by: evil }],
    panels: [
      {
        kind: 'VM',
        ns: evil,
        name: evil,
        run: evil,
        is: ['blocked', 'calm'],
        at: evil,
        jacks: [{ at: 1, is: 'used', what: evil }],
        ports: evil,
        cables: [{ name: evil, is: 'blocked', net: 0, to: 1, mac: evil, say: evil }],
        blocks: [{ code: evil, nic: evil, text: evil, remedy: evil, at: evil }],
        steps: [['+', evil]],
        notes: [evil],
      },
    ],
  };
  const { page, shown } = await open(picturePage(picture));
  assert.equal(await shown.locator('h2').textContent(), `${evil}/${evil}`);
  assert.equal(await shown.locator('.nic').textContent(), evil);
  assert.deepEqual(
    await page.evaluate(() => [document.images.length, document.scripts.length, document.links.length]),
    [0, 2, 2],
  );
  await shown.locator('.net').click();
  assert.equal(await shown.count(), 1);
  await shown.locator('.jack').focus();
  assert.ok((await shown.locator('.ports').textContent())?.includes(evil));
});

test('the policy of the page refuses what was slipped in', async (open) => {
  const html = fleetPage(1)
    .replace('</main>', '</main><b onclick="document.title=1" id="x">x</b><p style="color:red" id="y">y</p>')
    .replace('</body>', '<script>document.title="2"</script><img src="https://127.0.0.1/x" alt=""></body>');
  const { page, trouble } = await open(html);
  await page.locator('#x').click();
  assert.equal(await page.title(), 'plan of fleet folder@00');
  assert.notEqual(await page.locator('#y').evaluate((element) => getComputedStyle(element).color), 'rgb(255, 0, 0)');
  const said = trouble.splice(0);
  assert.equal(said.filter((line) => line.includes('Content Security Policy')).length, 4, said.join('\n'));
});

test('a fleet of 5,000 is drawn only where one looks, and each VM can be found', async (open, context) => {
  const html = fleetPage(5000);
  const started = performance.now();
  const { page, shown, names } = await open(html);
  await page.locator('.wires').first().waitFor();
  context.diagnostic(
    `5,000 VMs: ${Math.round(html.length / 5000)} bytes a VM, drawn after ${Math.round(performance.now() - started)} ms`,
  );
  assert.ok(html.length < 5000 * 1000, `${html.length} bytes`);
  assert.equal(await shown.count(), 5000);
  assert.equal(await page.getByRole('status').textContent(), '5,000 shown');
  assert.ok((await page.locator('.wires').count()) < 60);
  await page.getByRole('searchbox').fill('prod/cache-4998');
  assert.deepEqual(await names(), ['prod/cache-4998']);
  await shown.locator('.wires').waitFor();
  await page.getByRole('searchbox').fill('');
  await page.getByRole('button', { name: /^As declared/ }).click();
  assert.equal(await page.getByRole('status').textContent(), '4,884 of 5,000 shown');
});

test('the address names a VM, and the page opens there', async (open) => {
  const { page } = await open(fleetPage(5000), { hash: '#prod/cache-4998' });
  await page.locator('[id="prod/cache-4998"] a:focus').waitFor();
  await page.locator('[id="prod/cache-4998"] .wires').waitFor();
  assert.ok(
    await page.locator('[id="prod/cache-4998"]').evaluate((item) => item.getBoundingClientRect().top < innerHeight),
  );
});

test('on paper all that is shown is drawn', async (open) => {
  const { page, shown } = await open(fleetPage(50));
  const pdf = await page.pdf();
  assert.ok(pdf.length > 10_000);
  assert.equal((await shown.locator('.wires, .rows').count()) > 50, true);
  assert.equal(await shown.locator('.badges').count(), 50);
});

test('on a narrow screen nothing is cut off: the rows stand below the ports, and tell their state', async (open) => {
  const { page, shown } = await open(fleetPage(50), { viewport: { width: 390, height: 800 } });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  const first = shown.first();
  const cut = await first.evaluate(
    (item) =>
      [...item.querySelectorAll('.row > *')].filter((cell) => cell.getBoundingClientRect().right > innerWidth).length,
  );
  assert.equal(cut, 0);
  const [wires, rows] = await Promise.all([
    first.locator('.wires').boundingBox(),
    first.locator('.rows').boundingBox(),
  ]);
  assert.ok(wires !== null && rows !== null && wires.y + wires.height <= rows.y);
});

test('a VM with 200 ports has its rows below them, and pushes those of no other VM out of sight', async (open) => {
  const picture = fleetPicture(3);
  const [first] = picture.panels;
  assert.ok(first);
  const jacks = Array.from({ length: 200 }, (_, at) => ({ at, is: 'used', what: `interface ua-n${at}` }) as const);
  const cables = jacks.slice(0, 40).map(({ at }) => ({ name: `n${at}`, is: 'stays', net: 0, to: at }) as const);
  const huge = { ...first, name: 'huge', jacks, cables };
  const { page, shown } = await open(picturePage({ ...picture, panels: [huge, ...picture.panels] }));
  for (const panel of [shown.first(), shown.nth(1)]) {
    const right = await panel.evaluate((item) => item.getBoundingClientRect().right);
    const ends = await panel.locator('.row > *').evaluateAll((cells) =>
      cells.map((cell) => {
        const box = cell.getBoundingClientRect();
        return box.right * Math.sign(box.width);
      }),
    );
    assert.ok(ends.length >= 4 && ends.every((end) => end <= right), `${right}: ${ends.join()}`);
  }
  const last = await page.locator('.jack').nth(199).boundingBox();
  assert.ok(last !== null && last.x + last.width < 1280, 'all ports can be seen');
  assert.match((await page.locator('.jack').nth(199).getAttribute('aria-label')) ?? '', /^port 199 /);
});

test('an empty plan says so', async (open) => {
  const { page } = await open(picturePage({ ...fleetPicture(1), panels: [], networks: [] }));
  assert.equal(await page.getByRole('status').textContent(), '0 shown');
  assert.equal(await page.getByText('Nothing here fits').isVisible(), false);
});
