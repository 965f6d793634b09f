/** What the lake takes, how it grows, how long events are kept, what is held, and what was deleted on demand. */
import { useQuery } from '@tanstack/react-query'
import { eraseDialog, holdDialog, useMayManageData } from '../../actions/storage'
import { storageQuery } from '../../api/queries'
import { plural } from '../../lib/format'
import { useKeys } from '../../lib/keys'
import { Kbd } from '../../ui/Kbd'
import { PageHead } from '../../ui/Page'
import { Problem, SkeletonRows } from '../../ui/Trouble'
import { Erasures } from './Erasures'
import { Holds } from './Holds'
import { Retention, retentionDialog } from './Retention'
import { Figures, Growth, Shares, Tiers } from './Usage'

export default function StoragePage() {
  const { data, error, refetch } = useQuery(storageQuery)
  const mayManage = useMayManageData()
  useKeys(
    'Storage',
    [
      { keys: 'r', label: 'Change how long events are kept', run: () => data && retentionDialog(data) },
      { keys: 'l', label: 'Place a legal hold', run: holdDialog },
      { keys: 'd', label: 'Delete events on demand', run: eraseDialog },
    ],
    mayManage && data !== undefined,
  )
  return (
    <div className="page">
      <PageHead
        title="Storage"
        meta={data && <span className="muted">{plural(data.usage.tiers.length, 'place')}</span>}
      />
      {error && !data ? (
        <Problem what="Storage did not load" error={error} retry={() => void refetch()} />
      ) : !data ? (
        <SkeletonRows rows={14} height={40} />
      ) : (
        <>
          <Figures usage={data.usage} />
          <Growth usage={data.usage} />
          <Retention
            storage={data}
            tools={
              mayManage && (
                <button type="button" className="button" onClick={() => retentionDialog(data)}>
                  Change… <Kbd keys="r" />
                </button>
              )
            }
          />
          <Holds
            holds={data.holds}
            mayManage={mayManage}
            tools={
              mayManage && (
                <button type="button" className="button" onClick={holdDialog}>
                  Hold events… <Kbd keys="l" />
                </button>
              )
            }
          />
          <Erasures
            erasures={data.erasures}
            tools={
              mayManage && (
                <button type="button" className="button" onClick={eraseDialog}>
                  Delete events… <Kbd keys="d" />
                </button>
              )
            }
          />
          <Shares usage={data.usage} kind="source" />
          <Shares usage={data.usage} kind="class" />
          <Tiers usage={data.usage} />
        </>
      )}
    </div>
  )
}
