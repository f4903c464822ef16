with

deal_products as (

    select * from {{ ref('stg_bitrix24__deal_products') }}

),

cells as (

    select
        deal_products.account_id,
        deal_products.record_key,
        deal_products.load_id,
        deal_products.deal_id,
        goods.value ->> 'id' as row_id,
        {{ some_id("goods.value ->> 'productId'") }} as product_id,
        goods.value ->> 'productName' as product_name,
        goods.value ->> 'quantity' as quantity,
        goods.value ->> 'price' as price
    from deal_products
    cross join jsonb_array_elements(deal_products.product_rows) as goods

),

typed as (

    select
        ---------- ids
        account_id,
        record_key,
        load_id,
        deal_id,
        row_id,
        product_id,

        ---------- strings
        product_name,

        ---------- numerics
        {{ typed('quantity', 'amount') }} as quantity,
        {{ typed('price', 'amount') }} as price,

        {{ unreadable({'quantity': 'amount', 'price': 'amount'}) }}
            as unreadable_columns
    from cells

)

select * from typed
