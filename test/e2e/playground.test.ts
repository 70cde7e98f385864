import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { resultSchema } from '@glyphmill/contract/result';
import type { Browser, Page } from 'playwright-core';
import { samplesFolder } from '../fixtures/sample-list.ts';
import { corruptPage, documentOf } from '../integration/tiff-pages.ts';
import { expectAccessible, findChromium, noChromium, openBrowser, withPage } from './browser.ts';
import { startTestSystem, type TestSystem } from './system.ts';

const skip = findChromium() === undefined && noChromium;
/** One line of it is read with little confidence. */
const label = `${samplesFolder}label-nutrition.jpg`;
const oneLine = `${samplesFolder}line-english.png`;
/** The label is just small enough. */
const uploadBytes = 75_000;
const tooLarge = `${samplesFolder}codes.png`;
const damaged = { name: 'damaged.png', mimeType: 'image/png', buffer: Buffer.from('this is no picture') };

let system: TestSystem;
let browser: Browser;
before(async () => {
  if (skip) return;
  [system, browser] = await Promise.all([
    startTestSystem({ MAX_UPLOAD_BYTES: String(uploadBytes) }),
    openBrowser(),
  ]);
});
after(async () => {
  await browser?.close();
  await system?.close();
});

const origin = () => system.system.url;

async function open(page: Page, path: string): Promise<void> {
  await page.goto(`${origin()}${path}`);
  await page.getByLabel('API key').fill(system.system.apiKey);
  await page.keyboard.press('Enter');
}

async function isRead(page: Page): Promise<void> {
  await page.locator('#work[data-state=done]').waitFor();
}

/** Whether the page is wider than the window, so that it would have to be scrolled sideways. */
async function isTooWide(page: Page): Promise<unknown> {
  return page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
}

test('a picture is read, and its lines stand over it and beside it, tied to each other', {
  skip,
}, async () => {
  const permissions = ['clipboard-read', 'clipboard-write'];
  await withPage(browser, { origin: origin(), permissions }, async (page) => {
    await open(page, '/');
    await page.getByRole('heading', { name: 'Read a picture' }).waitFor();
    await expectAccessible(page, 'nothing chosen');
    await page.locator('#file').setInputFiles(label);
    await page.getByRole('button', { name: 'Cancel' }).waitFor();
    await expectAccessible(page, 'being read');
    await isRead(page);

    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download JSON' }).click();
    const file = await download;
    assert.equal(file.suggestedFilename(), 'label-nutrition.json');
    const result = resultSchema.parse(JSON.parse(await readFile(await file.path(), 'utf8')));
    const lines = result.pages.flatMap((one) => one.lines);
    assert.ok(lines.length > 20);
    assert.deepEqual(
      await page.locator('[role=option] .text').allTextContents(),
      lines.map(({ text }) => text),
    );
    assert.deepEqual(
      await page
        .locator('#picture polygon')
        .evaluateAll((shapes) => shapes.map((shape) => shape.getAttribute('points'))),
      lines.map(({ polygon }) => polygon.join(' ')),
    );
    const [drawing, picture] = await Promise.all(
      ['svg', 'img'].map((name) => page.locator(`#picture ${name}`).boundingBox()),
    );
    for (const edge of ['x', 'y', 'width', 'height'] as const) {
      const apart = Math.abs((drawing?.[edge] ?? 0) - (picture?.[edge] ?? Number.NaN));
      assert.ok(apart < 0.5, `the drawing lies over the picture, but its ${edge} is ${apart} px off`);
    }

    const doubtful = lines.filter(({ confidence }) => confidence < 0.9);
    assert.ok(doubtful.length > 0, 'the sample has a line that is read with little confidence');
    assert.equal(await page.locator('#picture .doubt').count(), doubtful.length);
    assert.equal(await page.locator('[role=option].doubt .flag').count(), doubtful.length);

    const option = page.locator('[role=option]').nth(20);
    await page.locator('#picture .line').nth(20).hover();
    await page.locator('[role=option].marked').waitFor();
    assert.equal(await option.getAttribute('class').then((name) => name?.includes('marked')), true);
    assert.match(
      await page.locator('.balloon').innerText(),
      new RegExp(`${Math.floor((lines[20]?.confidence ?? 0) * 1000) / 10} %$`),
    );
    await page.locator('[role=option]').nth(2).hover();
    assert.match(await page.locator('#picture .line').nth(2).getAttribute('class').then(String), /marked/);
    await page.locator('#picture .line').nth(5).click();
    assert.equal(await page.locator('[role=option]:focus .text').innerText(), lines[5]?.text);

    await page.getByRole('button', { name: 'Copy text' }).click();
    await page.getByText('The text is in the clipboard.').waitFor();
    assert.equal(await page.evaluate('navigator.clipboard.readText()'), result.text);

    await page.getByText('Lines found').waitFor();
    const rides = result.microBatches ?? [];
    assert.equal(await page.locator('.ride').count(), Math.min(24, rides.length));
    const own = rides.reduce((sum, ride) => sum + ride.own, 0);
    assert.equal(await page.locator('.rides .square.own').count(), own);
    const ride = rides.findIndex(({ role }) => role === 'recognize');
    await page.locator('.ride').nth(ride).hover();
    assert.equal(await page.locator('#picture .marked').count(), rides[ride]?.own);
    await expectAccessible(page, 'read');
  });
});

test('the keyboard alone is enough', { skip }, async () => {
  await withPage(browser, { origin: origin() }, async (page) => {
    const focused = (name: string) => page.locator(`${name}:focus`).waitFor();
    /** Goes on to the next that can have the focus, until it is this one. */
    const tabTo = async (name: string) => {
      for (let step = 0; step < 15; step += 1) {
        await page.keyboard.press('Tab');
        if ((await page.locator(`${name}:focus`).count()) > 0) return;
      }
      assert.fail(`${name} is not reached`);
    };
    // Asked for well before it comes: the browser has to be told to hand it over.
    const chooser = page.waitForEvent('filechooser');
    await page.goto(origin());
    await focused('#api-key');
    await page.keyboard.type(system.system.apiKey);
    await page.keyboard.press('Enter');
    await page.locator('#choose').waitFor();
    await tabTo('#choose-file');
    await page.keyboard.press('Enter');
    await (await chooser).setFiles(label);
    await isRead(page);
    await tabTo('[role=option]');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    assert.match(await page.locator('#picture .line').nth(2).getAttribute('class').then(String), /marked/);
    assert.equal(await page.locator('[role=option][aria-selected=true]').count(), 1);
    await page.keyboard.press('End');
    await focused('[role=option]:last-child');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Home');
    await focused('[role=option]:first-child');
    await tabTo('summary');
    await tabTo('.ride');
    assert.ok(
      (await page.locator('#picture .marked').count()) > 0 || (await page.locator('.ride').count()) > 0,
    );
    await page.locator('#another').focus();
    await page.keyboard.press('Enter');
    await focused('#choose-file');
  });
});

test('it fits a phone, and stands still for who wants it to', { skip }, async () => {
  const phone = {
    viewport: { width: 320, height: 640 },
    hasTouch: true,
    isMobile: true,
    reducedMotion: 'reduce',
  } as const;
  await withPage(browser, { origin: origin(), ...phone }, async (page) => {
    await page.goto(origin());
    await page.getByLabel('API key').waitFor();
    assert.equal(await isTooWide(page), false, 'asking for the key');
    await open(page, '/');
    await page.getByRole('button', { name: 'Take a photo' }).waitFor();
    assert.equal(await page.locator('#photo').getAttribute('capture'), 'environment');
    assert.equal(await isTooWide(page), false, 'choosing');
    await page.locator('#photo').setInputFiles(tooLarge);
    await page.getByText('pixels was made in your browser and read instead').waitFor();
    assert.deepEqual(await page.evaluate('document.getAnimations().length'), 0);
    await isRead(page);
    assert.ok((await page.locator('[role=option]').count()) > 2);
    assert.equal(await isTooWide(page), false, 'read');
    await page.goto(`${origin()}/queues`);
    await page.getByRole('heading', { name: 'Documents' }).waitFor();
    assert.equal(await isTooWide(page), false, 'the queues');
    assert.deepEqual(await page.evaluate('document.getAnimations().length'), 0);
  });
});

test('of a document of several pages each is shown, also what the browser cannot show and what was not read', {
  skip,
}, async () => {
  await withPage(browser, { origin: origin() }, async (page) => {
    await open(page, '/');
    await page.locator('#choose').waitFor();
    const buffer = await documentOf(3, { 2: await corruptPage() });
    await page.locator('#file').setInputFiles({ name: 'pages.tiff', mimeType: 'image/tiff', buffer });
    await isRead(page);
    assert.match(
      await page.locator('#status').innerText(),
      /^2 lines on 2 pages.* 1 page could not be read\.$/,
    );
    const text = await page.locator('[role=option] .text').innerText();
    assert.equal(await page.locator('#picture.blank svg text').textContent(), text);
    await page.getByRole('button', { name: 'Page 2, not read' }).click();
    await page.getByText('This page could not be read: ').waitFor();
    assert.equal(await page.locator('#picture polygon').count(), 0);
    await page.getByRole('button', { name: 'Page 3' }).click();
    assert.equal(await page.locator('#picture polygon').count(), 1);
    await expectAccessible(page, 'several pages');
  });
});

test('what goes wrong is told with what to do next', { skip }, async () => {
  const expected = [/status of 401/, /ERR_INTERNET_DISCONNECTED/];
  await withPage(browser, { origin: origin(), expected }, async (page) => {
    await page.goto(origin());
    await page.getByLabel('API key').fill('gm_unknown');
    await page.keyboard.press('Enter');
    await page.getByText('This API key is not known').waitFor();
    await expectAccessible(page, 'a key refused');
    await open(page, '/');
    await page.locator('#choose').waitFor();
    await page
      .locator('#file')
      .setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('notes') });
    await page.getByText('notes.txt is no picture. Choose a').waitFor();
    await page.locator('#file').setInputFiles(damaged);
    await page.locator('#work[data-state=failed]').waitFor();
    assert.match(await page.locator('#problem').innerText(), /plain text; send JPEG, PNG/);
    await expectAccessible(page, 'not read');
    await page.context().setOffline(true);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('Check that it runs and that you are online').waitFor();
    await page.context().setOffline(false);
    await page.getByRole('button', { name: 'Another picture' }).click();
    await page.locator('#file').setInputFiles(oneLine);
    await isRead(page);
    // Nothing is left behind for whoever uses the browser next.
    assert.equal(await page.evaluate('localStorage.length'), 0);
    await page.getByRole('button', { name: 'Forget key' }).click();
    await page.getByLabel('API key').waitFor();
    assert.equal(await page.evaluate('sessionStorage.length'), 0);
  });
});

test('a failed job is tried again from the page of the queues, and a queue paused and resumed', {
  skip,
}, async () => {
  await withPage(browser, { origin: origin() }, async (page) => {
    await open(page, '/queues');
    await page.getByRole('heading', { name: 'Documents', exact: true }).waitFor();
    await page.getByRole('button', { name: 'Pause documents' }).click();
    await page.getByText('Paused: jobs are still accepted').waitFor();
    await page.locator('.badge[data-state=paused]').waitFor();
    const missing = { type: 's3', bucket: system.bucket, key: 'later.png' };
    const { id } = await system.submit({ source: missing });
    await page.locator('.card strong').first().getByText('1', { exact: true }).waitFor();
    await expectAccessible(page, 'a queue paused');
    await page.getByRole('button', { name: 'Resume documents' }).click();
    const letter = page.locator('.letters li', { hasText: id });
    await letter.getByText('source-not-found').waitFor();
    await expectAccessible(page, 'failed jobs');

    await system.put('later.png', await readFile(oneLine));
    await page
      .getByRole('button', { name: /source-not-found|Try all again/ })
      .last()
      .click();
    await page.getByText('is queued again').waitFor();
    assert.equal((await system.ended(id, 60_000)).status, 'succeeded');
    await letter.waitFor({ state: 'detached' });
    // The worker tells every other second what it ran.
    await page.getByRole('rowheader', { name: /rec/ }).waitFor();
    await expectAccessible(page, 'micro-batches');
  });
});
