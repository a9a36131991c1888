/**
 * What every store must do, as one suite: `storeContract('SQLite', …)` registers its tests for one
 * implementation. Each case gets an empty database of its own.
 */
import { test } from 'node:test';
import type { Store } from '../store/store.ts';
import { agentCases } from './storeContract/agentCases.ts';
import { agentLifeCases } from './storeContract/agentLifeCases.ts';
import { agentListCases } from './storeContract/agentListCases.ts';
import { apiKeyCases } from './storeContract/apiKeyCases.ts';
import { auditCases } from './storeContract/auditCases.ts';
import { bindingCases } from './storeContract/bindingCases.ts';
import { catalogueCases } from './storeContract/catalogueCases.ts';
import { directoryCases } from './storeContract/directoryCases.ts';
import { endpointCases } from './storeContract/endpointCases.ts';
import { enrollCases } from './storeContract/enrollCases.ts';
import { healthCases } from './storeContract/healthCases.ts';
import { idempotencyCases } from './storeContract/idempotencyCases.ts';
import { joinKeyModelCases } from './storeContract/joinKeyModelCases.ts';
import { memberCases } from './storeContract/memberCases.ts';
import { modelCases } from './storeContract/modelCases.ts';
import { openingCases, unopenedCases } from './storeContract/openingCases.ts';
import { operatorCases } from './storeContract/operatorCases.ts';
import { peopleCases } from './storeContract/peopleCases.ts';
import { projectCases } from './storeContract/projectCases.ts';
import { quotaCases } from './storeContract/quotaCases.ts';
import { secondFactorCases } from './storeContract/secondFactorCases.ts';
import { secretRaceCases } from './storeContract/secretRaceCases.ts';
import type { StoreCases, StoreFixture } from './storeContract/storeCases.ts';
import { tokenCases } from './storeContract/tokenCases.ts';
import { agentHourCases } from './storeContract/agentHourCases.ts';
import { budgetCases } from './storeContract/budgetCases.ts';
import { usageCases } from './storeContract/usageCases.ts';
import { usageSumCases } from './storeContract/usageSumCases.ts';

const topics: StoreCases[] = [
  openingCases,
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
  const register = (failure: string, check: (fixture: StoreFixture) => Promise<void>): void => {
    void test(`${name}: ${failure}`, { skip: factory.skip ?? false }, async () => {
      const fixture = await factory.create();
      // A case that fails leaves no store open, which would keep the process from ending.
      const others: Store[] = [];
      const another = (): Store => {
        const store = fixture.another();
        others.push(store);
        return store;
      };
      try {
        await check({ ...fixture, another });
      } finally {
        for (const store of others) await store.close();
        await fixture.dispose();
      }
    });
  };
  for (const [failure, check] of Object.entries(unopenedCases)) register(failure, check);
  for (const [failure, check] of topics.flatMap((topic) => Object.entries(topic))) {
    register(failure, async (fixture) => {
      await fixture.store.open();
      await check(fixture);
    });
  }
}
