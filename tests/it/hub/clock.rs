//! A hub and a machine's clock that is set back.

use super::*;

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_feed_wait_longer_than_it_was_put_off() {
    let desk = Desk::open();
    let mut hub = desk.hub().await;
    desk.publish("One", &["science"]).await;
    desk.listening.says(500);
    assert_eq!(hub.step().await.unwrap(), Step::Worked);
    assert_eq!(desk.listening.told().len(), 3);
    desk.clock.advance(Duration::hours(-5));
    desk.listening.says(204);
    assert_eq!(hub.step().await.unwrap(), Step::Idle);
    desk.clock.advance(Duration::seconds(14));
    assert_eq!(hub.step().await.unwrap(), Step::Idle, "it has put them off by fifteen seconds");
    desk.clock.advance(Duration::seconds(1));
    assert_eq!(hub.step().await.unwrap(), Step::Worked);
    assert_eq!(desk.listening.told_sorted(), topics(BASE, &["science"]));
    assert_eq!(desk.cursor(), desk.store.head());
}
