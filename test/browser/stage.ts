/**
 * A browser for the tests of one file, and pages in it that tell what they asked for and what went wrong. Where Chromium is
 * missing the tests are skipped and say so; in CI they fail instead.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';
import { chromiumPath, whatIsMissing } from './install.ts';

export interface Opened {
  readonly page: Page;
  /** Panels that are not filtered out. */
  readonly shown: Locator;
  /** Names of these, in order. */
  readonly names: () => Promise<readonly string[]>;
  /** Requests, messages and errors so far. What is left of them at the end fails the test. */
  readonly trouble: string[];
}

type Open = (html: string, options?: BrowserContextOptions & { readonly hash?: string }) => Promise<Opened>;

/** A test that gets pages to look at. Each must have asked for nothing but itself, and have complained of nothing. */
export function withBrowser(): (title: string, body: (open: Open, context: TestContext) => Promise<void>) => void {
  const missing = whatIsMissing();
  const reason = `missing: ${missing.join(', ')}; node test/browser/install.ts brings it`;
  const skip = missing.length > 0 && process.env.CI === undefined ? reason : false;
  let browser: Browser | undefined;
  let folder = '';
  before(async () => {
    if (missing.length > 0) return;
    folder = await mkdtemp(join(tmpdir(), 'patchpanel-page-'));
    // Chromium's own sandbox does not run as root; the pages are ours.
    browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox'] });
  });
  after(async () => {
    await browser?.close();
    if (folder !== '') await rm(folder, { recursive: true, force: true });
  });
  let number = 0;
  return (title, body) => {
    test(title, { skip }, async (context) => {
      assert.ok(browser !== undefined, reason);
      const running = browser;
      const trouble: string[] = [];
      await body(async (html, { hash = '', ...options } = {}) => {
        const file = join(folder, `${++number}.html`);
        await writeFile(file, html);
        const url = pathToFileURL(file).href;
        const place = await running.newContext({ viewport: { width: 1280, height: 900 }, ...options });
        context.after(() => place.close());
        const page = await place.newPage();
        page.on('request', (request) => {
          if (request.url() !== `${url}${hash}` && request.url() !== url) trouble.push(`request ${request.url()}`);
        });
        page.on('console', (message) => trouble.push(`console ${message.text()}`));
        page.on('pageerror', (error) => trouble.push(`error ${error.message}`));
        page.on('dialog', (dialog) => trouble.push(`dialog ${dialog.message()}`));
        await page.goto(`${url}${hash}`);
        const shown = page.locator('#panels > li:not([hidden])');
        return { page, shown, names: () => shown.locator('h2').allTextContents(), trouble };
      }, context);
      assert.deepEqual(trouble, []);
    });
  };
}
