import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
} from '@tanstack/react-router'
import { Shell } from './frame/Shell'
import { parseSearch, type Search, stringifySearch } from './lib/url'
import { Empty, Problem, SkeletonRows } from './ui/Trouble'

const root = createRootRoute({
  component: Outlet,
  validateSearch: (search: Record<string, unknown>): Search => search as Search,
})
const shell = createRoute({ getParentRoute: () => root, id: 'shell', component: Shell })
const setup = createRoute({
  getParentRoute: () => root,
  path: '/setup',
  component: lazyRouteComponent(() => import('./pages/Setup')),
})

const page = <P extends string>(path: P, load: () => Promise<{ default: React.ComponentType }>) =>
  createRoute({ getParentRoute: () => shell, path, component: lazyRouteComponent(load) })

const routeTree = root.addChildren([
  setup,
  shell.addChildren([
    page('/', () => import('./pages/overview/Overview')),
    page('/queue', () => import('./pages/queue/Queue')),
    page('/alerts/$id', () => import('./pages/alert/AlertPage')),
    page('/incidents', () => import('./pages/incidents/Incidents')),
    page('/incidents/$id', () => import('./pages/incident/IncidentPage')),
    page('/hunt', () => import('./pages/hunt/Hunt')),
    page('/indicators', () => import('./pages/indicators/Indicators')),
    page('/sources', () => import('./pages/sources/Sources')),
    page('/storage', () => import('./pages/storage/Storage')),
    page('/rules', () => import('./pages/rules/Rules')),
    page('/rules/$id', () => import('./pages/rules/RulePage')),
    page('/backtest', () => import('./pages/rules/Backtest')),
    page('/playbooks', () => import('./pages/playbooks/Playbooks')),
    page('/playbooks/$id', () => import('./pages/playbooks/PlaybookPage')),
    page('/runs/$id', () => import('./pages/playbooks/RunPage')),
    page('/approvals', () => import('./pages/approvals/Approvals')),
    page('/connectors', () => import('./pages/connectors/Connectors')),
    page('/fleet', () => import('./pages/fleet/Fleet')),
    page('/fleet/groups/$id', () => import('./pages/fleet/GroupPage')),
    page('/fleet/$id', () => import('./pages/fleet/AgentPage')),
    page('/performance', () => import('./pages/time/Performance')),
    page('/on-call', () => import('./pages/time/OnCall')),
    page('/handover', () => import('./pages/time/Handover')),
    page('/settings', () => import('./pages/settings/Settings')),
  ]),
])

export const router = createRouter({
  routeTree,
  parseSearch,
  stringifySearch,
  defaultPendingComponent: () => <SkeletonRows rows={14} />,
  defaultNotFoundComponent: () => (
    <Empty title="There is no such page">Press Ctrl K and type where you want to go.</Empty>
  ),
  defaultErrorComponent: ({ error, reset }) => (
    <Problem what="This page could not be shown" error={error} retry={reset} />
  ),
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
