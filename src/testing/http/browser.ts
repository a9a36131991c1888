/** A real Chromium for tests of what is seen, driven through playwright-core. */
import { chromium, type Browser } from 'playwright-core';
import { systemBinary } from '../processes/systemBinary.ts';

export type BrowserOutcome =
  | { kind: 'open'; browser: Browser }
  | { kind: 'missing'; reason: string };

/** Starts the system's Chromium without a window. It reaches nothing but what the test opens. */
export async function openBrowser(): Promise<BrowserOutcome> {
  const found = systemBinary({
    names: ['chromium', 'chromium-browser', 'google-chrome'],
    debianPackage: 'chromium',
  });
  if (found.kind === 'missing') return found;
  const browser = await chromium.launch({
    executablePath: found.path,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  return { kind: 'open', browser };
}
