import { useQuery } from '@tanstack/react-query'
import { useParams, useRouter } from '@tanstack/react-router'
import { useAlertKeys } from '../../actions/useAlertKeys'
import { alertQuery } from '../../api/queries'
import { useKeys } from '../../lib/keys'
import { AlertView } from './AlertView'

export default function AlertPage() {
  const { id } = useParams({ strict: false }) as { id: string }
  const router = useRouter()
  const { data } = useQuery(alertQuery(id))
  const { verbs } = useAlertKeys({ targets: () => (data ? [data] : []) })
  useKeys('Page', [
    {
      keys: 'Escape',
      label: 'Back',
      run: () =>
        router.history.canGoBack() ? router.history.back() : void router.navigate({ to: '/queue' }),
    },
  ])
  return (
    <div className="page page-alert">
      <AlertView key={id} id={id} verbs={verbs} />
    </div>
  )
}
