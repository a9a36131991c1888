/** The scheduler against a plain model (`schedulerWorld`), under any sequence of events. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  agentIds,
  firstEndpoints,
  healthOf,
  World,
  type EndpointName,
  type Finish,
} from '../../testing/router/schedulerWorld.ts';

const agentId = fc.constantFrom(...agentIds);
const nonce = fc.constantFrom('n1', 'n2');
const pick = fc.nat(50);
const endpointName = fc.constantFrom(...(Object.keys(firstEndpoints) as EndpointName[]));
const how = fc.constantFrom(...(Object.keys(healthOf) as Finish[]));
const granted = fc.record({
  slots: fc.nat(3),
  modelId: fc.constantFrom('model_a', 'model_a', 'model_b'),
});
const stored = fc.constantFrom('enrolled', 'enrolled', 'suspended', 'dead');
const settings = fc.record({
  exclusive: fc.boolean(),
  enabled: fc.boolean(),
  afterMs: fc.constantFrom(0, 700),
});

type Step = (world: World) => void;

/** A step that comes so often, with what it is done with. */
function step<Values extends unknown[]>(
  weight: number,
  values: fc.Arbitrary<Values>,
  act: (world: World, ...values: Values) => void,
): fc.WeightedArbitrary<Step> {
  const arbitrary = values.map(
    (all): Step =>
      (world) =>
        act(world, ...all),
  );
  return { weight, arbitrary };
}

const steps = fc.oneof(
  step(8, fc.tuple(endpointName), (world, name) => world.arrive(name)),
  step(4, fc.tuple(pick, how, fc.boolean()), (world, ...all) => world.finish(...all)),
  step(2, fc.tuple(pick), (world, at) => world.release(at)),
  step(3, fc.tuple(pick), (world, at) => world.firstByte(at)),
  step(1, fc.tuple(pick), (world, at) => world.hangUp(at)),
  step(3, fc.tuple(agentId, stored), (world, id, state) => world.enrol(id, state)),
  step(1, fc.tuple(agentId), (world, id) => world.remove(id)),
  step(4, fc.tuple(agentId, nonce), (world, ...all) => world.join(...all)),
  step(1, fc.tuple(agentId, nonce), (world, ...all) => world.leave(...all)),
  step(5, fc.tuple(agentId, nonce, fc.array(granted, { maxLength: 2 })), (world, ...all) =>
    world.grant(...all),
  ),
  step(2, fc.tuple(endpointName, settings), (world, ...all) => world.change(...all)),
  step(2, fc.tuple(fc.constantFrom(1, 400, 700, 1500, 31_000)), (world, ms) => world.pass(ms)),
);

test('R1 R2 R5 W1: no sequence of events loses a request or a slot, or breaks the order', () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 120, size: 'max' }), fc.nat(), (sequence, seed) => {
      const world = new World(seed);
      for (const id of agentIds) world.enrol(id, 'enrolled');
      for (const apply of sequence) apply(world);
      world.pass(31_000);
      assert.equal(world.waiting.length, 0, 'R1: somebody waits for ever');
      while (world.claims.some((one) => one.serving)) world.finish(0, 'end', true);
      while (world.claims.length > 0) world.release(0);
      assert.equal(world.finished.size, world.requests, 'R1: every request has its outcome');
    }),
    { numRuns: 500 },
  );
});
