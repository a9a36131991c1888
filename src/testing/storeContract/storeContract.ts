/**
 * What every store must do, as one suite: `storeContract('SQLite', …)` registers its tests for one
 * implementation. Each case gets an empty database: those that open and close stores one of their
 * own, the others one after the other the same, because opening a store takes longer than most of
 * them do.
 */
import { after, test } from 'node:test';
import type { Store } from '../../store/store.ts';
import { agentCases } from './agentCases.ts';
import { agentLifeCases } from './agentLifeCases.ts';
import { agentListCases } from './agentListCases.ts';
import { apiKeyCases } from './apiKeyCases.ts';
import { auditCases } from './auditCases.ts';
import { bindingCases } from './bindingCases.ts';
import { catalogueCases } from './catalogueCases.ts';
import { directoryCases } from './directoryCases.ts';
import { endpointCases } from './endpointCases.ts';
import { enrollCases } from './enrollCases.ts';
import { healthCases } from './healthCases.ts';
import { idempotencyCases } from './idempotencyCases.ts';
import { joinKeyModelCases } from './joinKeyModelCases.ts';
import { memberCases } from './memberCases.ts';
import { modelCases } from './modelCases.ts';
import { openingCases, unopenedCases } from './openingCases.ts';
import { operatorCases } from './operatorCases.ts';
import { peopleCases } from './peopleCases.ts';
import { projectCases } from './projectCases.ts';
import { quotaCases } from './quotaCases.ts';
import { secondFactorCases } from './secondFactorCases.ts';
import { secretRaceCases } from './secretRaceCases.ts';
import type { StoreCases, StoreFixture } from './storeCases.ts';
import { tokenCases } from './tokenCases.ts';
import { agentHourCases } from './agentHourCases.ts';
import { budgetCases } from './budgetCases.ts';
import { usageCases } from './usageCases.ts';
import { usageSumCases } from './usageSumCases.ts';

const topics: StoreCases[] = [
  peopleCases,
  secondFactorCases,
  projectCases,
  memberCases,
  apiKeyCases,
  catalogueCases,
  endpointCases,
  bindingCases,
  quotaCases,
  modelCases,
  operatorCases,
  enrollCases,
  joinKeyModelCases,
  tokenCases,
  secretRaceCases,
  agentCases,
  agentListCases,
  agentLifeCases,
  healthCases,
  usageCases,
  usageSumCases,
  agentHourCases,
  budgetCases,
  directoryCases,
  auditCases,
  idempotencyCases,
];

/** `skip`: why the real thing is not there; then every case is skipped with it. */
export function storeContract(
  name: string,
  factory: { create(): Promise<StoreFixture>; skip?: string | undefined },
): void {
  const register = (failure: string, run: () => Promise<void>): void =>
    void test(`${name}: ${failure}`, { skip: factory.skip ?? false }, run);
  for (const [failure, check] of Object.entries(unopenedCases)) {
    register(failure, async () => {
      const fixture = await factory.create();
      try {
        await runCase(check, fixture);
      } finally {
        await fixture.dispose();
      }
    });
  }
  for (const [failure, check] of Object.entries(openingCases)) {
    register(failure, async () => {
      const fixture = await opened(factory);
      try {
        await runCase(check, fixture);
      } finally {
        await fixture.dispose();
      }
    });
  }
  let kept: StoreFixture | undefined;
  after(() => kept?.dispose());
  for (const [failure, check] of topics.flatMap((topic) => Object.entries(topic))) {
    register(failure, async () => {
      const fixture = kept ?? (await opened(factory));
      if (kept === undefined) await fixture.mark();
      kept = undefined;
      try {
        await runCase(check, fixture);
        if (await fixture.reset()) kept = fixture;
        else await fixture.dispose();
      } catch (error) {
        // Nobody knows in which state it has left the store.
        await fixture.dispose();
        throw error;
      }
    });
  }
}

async function opened(factory: { create(): Promise<StoreFixture> }): Promise<StoreFixture> {
  const fixture = await factory.create();
  await fixture.store.open();
  return fixture;
}

/** A case that fails leaves no store open, which would keep the process from ending. */
async function runCase(check: StoreCases[string], fixture: StoreFixture): Promise<void> {
  const others: Store[] = [];
  const another = (): Store => {
    const store = fixture.another();
    others.push(store);
    return store;
  };
  try {
    await check?.({ ...fixture, another });
  } finally {
    for (const store of others) await store.close();
  }
}
