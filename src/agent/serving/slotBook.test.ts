import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FakeClock } from '../../testing/fakeClock.ts';
import { slotWaitMs } from '../limits.ts';
import { maxInstances } from '../../protocol/limits.ts';
import { grantSchema } from '../../protocol/messages/agentControl.ts';
import { grantOf } from './grant.ts';
import { SlotBook, type ClaimEvents, type Slot } from './slotBook.ts';

const unheard: ClaimEvents = {
  onTaken: () => assert.fail('taken'),
  onTimeout: () => assert.fail('timed out'),
};

function book(slots: number): { clock: FakeClock; slotBook: SlotBook } {
  const clock = new FakeClock();
  const slotBook = new SlotBook(clock);
  slotBook.grant(new Map([['one', slots]]));
  return { clock, slotBook };
}

function take(slotBook: SlotBook): Slot {
  const claim = slotBook.claim('one', unheard);
  assert.ok(claim.kind === 'taken');
  return claim.slot;
}

test('a slot is released twice', () => {
  const { slotBook } = book(1);
  const slot = take(slotBook);
  slot.release();
  slot.release();
  take(slotBook);
  assert.deepEqual(slotBook.claim('one', unheard), { kind: 'refused', code: 'not_granted' });
});

test('a request right behind a cancel is refused', () => {
  const { slotBook } = book(1);
  const slot = take(slotBook);
  slot.closing();
  const got: Slot[] = [];
  const events = { ...unheard, onTaken: (taken: Slot) => got.push(taken) };
  assert.equal(slotBook.claim('one', events).kind, 'waiting');
  assert.equal(slotBook.claim('one', unheard).kind, 'refused', 'more wait than slots close');
  slot.release();
  assert.equal(got.length, 1);
  assert.equal(slotBook.running, 1);
});

test('a request waits for ever for an engine that does not let go', () => {
  const { clock, slotBook } = book(1);
  take(slotBook).closing();
  let timeouts = 0;
  slotBook.claim('one', { ...unheard, onTimeout: () => (timeouts += 1) });
  clock.advance(slotWaitMs);
  assert.equal(timeouts, 1);
});

test('a request that gave up waiting is given the slot', () => {
  const { slotBook } = book(1);
  const slot = take(slotBook);
  slot.closing();
  const claim = slotBook.claim('one', unheard);
  assert.ok(claim.kind === 'waiting');
  claim.giveUp();
  slot.release();
  take(slotBook);
});

test('an instance that is gone, or unknown, takes requests', () => {
  const { slotBook } = book(2);
  const slot = take(slotBook);
  slotBook.grant(new Map([['two', 1]]));
  assert.deepEqual(slotBook.claim('one', unheard), { kind: 'refused', code: 'unknown_instance' });
  assert.equal(slotBook.claim('other', unheard).kind, 'refused');
  slot.release();
  assert.equal(slotBook.running, 0);
});

test('more runs than was granted, whatever happens', () => {
  const action = fc.constantFrom('claim', 'close', 'release', 'grant', 'wait');
  fc.assert(
    fc.property(fc.array(fc.tuple(action, fc.nat(7)), { maxLength: 60 }), (actions) => {
      const { clock, slotBook } = book(3);
      const held: Slot[] = [];
      const events: ClaimEvents = { onTaken: (slot) => held.push(slot), onTimeout: () => {} };
      let granted = 3;
      for (const [kind, n] of actions) {
        const before = slotBook.running;
        const slot = held[n % Math.max(1, held.length)];
        if (kind === 'claim') {
          const claim = slotBook.claim('one', events);
          if (claim.kind === 'taken') held.push(claim.slot);
        } else if (kind === 'close') slot?.closing();
        else if (kind === 'release' && slot !== undefined) {
          held.splice(held.indexOf(slot), 1);
          slot.release();
        } else if (kind === 'grant') {
          granted = n;
          slotBook.grant(new Map(n === 0 ? [] : [['one', n]]));
        } else clock.advance(400);
        assert.ok(slotBook.running <= Math.max(granted, before), 'more than granted');
        assert.equal(slotBook.running, held.length);
      }
    }),
  );
});

test('the sum of what is granted is above the owner’s bound', () => {
  const offer = (slots: number): Parameters<typeof grantOf>[0][number] => {
    return { instance: `i${slots}`, modelId: 'm', slots, engine: 'e', abilities: [] };
  };
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 64 }), { maxLength: 8 }),
      fc.nat(40),
      (all, most) => {
        const { instances } = grantOf(all.map(offer), most);
        const sum = instances.reduce((total, { slots }) => total + slots, 0);
        const offered = all.reduce((total, slots) => total + slots, 0);
        assert.ok(sum <= offered && (most === 0 || sum <= Math.max(most, 0)));
        if (most === 0 || offered <= most) assert.equal(sum, offered);
        if (most >= all.length) assert.ok(instances.every(({ slots }) => slots >= 1));
      },
    ),
  );
});

test('an engine that boasts of itself cuts the link of its agent, again and again', () => {
  const offers = Array.from({ length: maxInstances + 9 }, (_, n) => ({
    instance: `inst_${n}`,
    modelId: `mdl_${n}`,
    slots: 10 ** 9,
    engine: 'llama.cpp',
    contextLength: n === 0 ? 10 ** 300 : 4096,
    abilities: ['chat'],
  }));
  for (const most of [0, 100]) {
    const grant = grantOf(offers, most);
    assert.deepEqual(grantSchema.parse(grant), grant);
    assert.equal(grant.instances.length, maxInstances);
    assert.equal(grant.instances[0]?.contextLength, undefined);
    assert.equal(grant.instances[1]?.contextLength, 4096);
  }
});
